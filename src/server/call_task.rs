//! One task for each call: the only place where call, application, wire, relay and clock meet.

mod outputs;

use super::{
    Gauges,
    cdr::Receipt,
    farewell::Remains,
    handshakes::{Handshakes, Shared},
    inbox::{Inbox, InboxReceiver, Listing, Told},
    orders::Control,
    standalone::{Answerer, reply},
    watch::{self, Watch},
    workload::{Busy, Waiting},
    zid_cache::ZidCache,
};
use crate::{
    app::{Bound, CallState},
    call::{
        Call, CallEvent, Cause, Command, Env, Incoming, Input, Origin, Question, Side, bridge::CallSettings,
        failure::Kind,
    },
    media::relay::{Relay, Session},
    net::Net,
    sip::{Ids, Message},
};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, sleep_until},
};
use tracing::Instrument as _;

/// When there is no deadline: far away.
pub(super) const NEVER: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

/// What a call's task has of the server.
pub(super) struct Seat {
    pub(super) number: u64,
    pub(super) net: Net,
    pub(super) relay: Arc<Relay>,
    pub(super) control: mpsc::UnboundedSender<Control>,
    pub(super) gauges: Arc<Gauges>,
    pub(super) receipt: Receipt,
    pub(super) answerer: Arc<Answerer>,
    pub(super) settings: Arc<CallSettings>,
    pub(super) dtls: Shared,
    pub(super) cache: Arc<ZidCache>,
    pub(super) app: Bound,
    pub(super) ids: Ids,
    pub(super) inbox: Inbox,
}

/// Serves one call from its INVITE to its last timer.
pub(super) async fn run(seat: Seat, invite: Incoming, waiting: Waiting, inbox: InboxReceiver) {
    let span = tracing::info_span!("call", id = seat.number);
    serve(seat, invite, waiting, inbox).instrument(span).await;
}

async fn serve(mut seat: Seat, invite: Incoming, waiting: Waiting, mut inbox: InboxReceiver) {
    let busy = waiting.begin(now());
    let _leaving = Leaving {
        number: seat.number,
        control: seat.control.clone(),
        gauges: seat.gauges.clone(),
    };
    let remains = Remains::new(invite.clone());
    let settings = seat.settings.clone();
    let zid = seat.cache.zid();
    let mut env = env(&mut seat.ids);
    let made = catch_unwind(AssertUnwindSafe(|| {
        Call::new(invite, settings, zid, &mut env).map(Box::new)
    }));
    match made {
        Ok(Ok(mut call)) => {
            let mut app = seat.app.begin();
            call.let_cross(app.forwarded());
            let mut task = CallTask {
                watch: Watch::default(),
                handshakes: Handshakes::new(seat.dtls.clone()),
                call,
                seat,
                session: None,
                replies: VecDeque::new(),
                remains,
                listings: Vec::new(),
                busy: Some(busy),
                finished: false,
            };
            if unwound(pin!(task.drive(Some(&mut app), &mut inbox)))
                .await
                .is_err()
            {
                // An application is the likeliest culprit, and the machine can still end the call in good order.
                task.seat.gauges.faults.add();
                tracing::error!("a fault in this call's task: the call is ended");
                let orderly = async {
                    let cause = Cause::of(Kind::Internal, Origin::Local);
                    task.take(Input::Command(Command::Hangup(cause)));
                    task.drive(None, &mut inbox).await;
                };
                if unwound(pin!(orderly)).await.is_err() {
                    task.farewell();
                }
            }
            for mut adoptee in inbox.close() {
                adoptee.turned_away();
                task.control(Control::Move(task.seat.number, Box::new(adoptee)));
            }
        }
        Ok(Err(failure)) => {
            tracing::info!(status = %failure.status, reason = ?failure.reason, "refused");
            seat.receipt.refuse(failure.clone());
            if let Message::Request(request) = &remains.invite.message {
                let response = seat.answerer.failure(request, &failure);
                seat.net.send(reply(request, &response, remains.invite.source));
            }
        }
        Err(_) => {
            seat.gauges.faults.add();
            remains.bury(&seat.net, &seat.answerer, Vec::new());
        }
    }
}

/// Says that a task has ended, however it has ended.
pub(super) struct Leaving {
    pub(super) number: u64,
    pub(super) control: mpsc::UnboundedSender<Control>,
    pub(super) gauges: Arc<Gauges>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.gauges.faults.add();
        }
        // The dispatcher may have gone before its calls.
        let _ = self.control.send(Control::Gone(self.number));
    }
}

/// Runs a future to its end or its panic.
pub(super) async fn unwound(mut future: Pin<&mut impl Future<Output = ()>>) -> Result<(), ()> {
    std::future::poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(())),
        },
    )
    .await
}

#[expect(
    clippy::disallowed_methods,
    reason = "one of the three places where time enters"
)]
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

pub(super) fn env(ids: &mut Ids) -> Env<'_> {
    Env { now: now(), ids }
}

struct CallTask {
    /// Boxed: the task keeps a place for each move of it.
    call: Box<Call>,
    seat: Seat,
    session: Option<Arc<Session>>,
    handshakes: Handshakes,
    /// Answers that were there at once, for when the call has been drained.
    replies: VecDeque<Input>,
    remains: Remains,
    watch: Watch,
    /// Who wants to know what there is of it.
    listings: Vec<Listing>,
    /// The message that it is busy with.
    busy: Option<Busy>,
    finished: bool,
}

/// Why draining stopped.
enum Drained {
    /// Nothing more to do until something happens.
    Idle,
    Asked(Question),
    Withdrawn,
}

impl CallTask {
    /// Until the call is finished. Without an application, as after its fault, nothing is asked and nothing is observed.
    async fn drive(&mut self, mut app: Option<&mut CallState>, inbox: &mut InboxReceiver) {
        #[expect(
            clippy::disallowed_methods,
            reason = "one of the three places where time enters"
        )]
        let mut clock = pin!(sleep_until(Instant::now() + NEVER));
        while !self.finished {
            let mut observe = |event: &CallEvent| {
                if let Some(app) = &mut app {
                    app.observe(event);
                }
            };
            let drained = self.drain(&mut observe);
            self.rest();
            match drained {
                Drained::Idle if self.finished => {}
                Drained::Idle => self.wait(inbox, clock.as_mut()).await,
                Drained::Withdrawn => tracing::debug!("a question was withdrawn that is not open any more"),
                Drained::Asked(question) => match &mut app {
                    Some(app) => {
                        let later = self.ask(question, app, inbox, clock.as_mut()).await;
                        later.iter().for_each(|event| app.observe(event));
                    }
                    None => tracing::debug!(?question, "nobody is there to be asked"),
                },
            }
        }
    }
    /// Waits for the application's answer while the call goes on. Returns what happened meanwhile: the application is busy
    /// with its call until it has answered.
    async fn ask(
        &mut self,
        question: Question,
        app: &mut CallState,
        inbox: &mut InboxReceiver,
        mut clock: Pin<&mut Sleep>,
    ) -> Vec<CallEvent> {
        let mut later = Vec::new();
        let mut answer = app.ask(question);
        loop {
            let drained = self.drain(&mut |event| later.push(event.clone()));
            self.rest();
            match drained {
                Drained::Idle if self.finished => return later,
                Drained::Idle => {}
                Drained::Withdrawn => return later,
                Drained::Asked(question) => {
                    tracing::error!(?question, "asked while another question is open; forgotten");
                    continue;
                }
            }
            self.wind(clock.as_mut());
            tokio::select! {
                biased;
                told = inbox.next() => self.hear(told),
                verdict = &mut answer => {
                    self.take(Input::Verdict(verdict));
                    return later;
                }
                () = clock.as_mut() => self.timeout(),
            }
        }
    }
    async fn wait(&mut self, inbox: &mut InboxReceiver, mut clock: Pin<&mut Sleep>) {
        self.wind(clock.as_mut());
        tokio::select! {
            biased;
            told = inbox.next() => self.hear(told),
            () = clock => self.timeout(),
        }
    }
    /// Nothing is left to do until something happens.
    fn rest(&mut self) {
        if let Some(busy) = self.busy.take() {
            busy.end(now());
        }
    }
    fn wind(&self, clock: Pin<&mut Sleep>) {
        #[expect(
            clippy::disallowed_methods,
            reason = "one of the three places where time enters"
        )]
        let deadline = self
            .call
            .poll_timeout()
            .map_or_else(|| Instant::now() + NEVER, Instant::from_std);
        if clock.deadline() != deadline {
            clock.reset(deadline);
        }
    }
    fn hear(&mut self, told: Option<Told>) {
        match told {
            Some(Told::Input(delivery)) => {
                self.busy = delivery.waiting.map(|waiting| waiting.begin(now()));
                self.take(delivery.input);
            }
            Some(Told::Report(listing)) => {
                self.listings.push(listing);
                self.take(Input::Command(Command::Report));
            }
            // Never: the task has a sender itself.
            None => {}
        }
    }
    fn take(&mut self, input: Input) {
        if let Input::Message(Side::B, incoming) = &input {
            self.watch.heard();
            if let Some(time) = watch::busy_for(&incoming.message) {
                tracing::debug!(target = %incoming.source.remote, ?time, "asks to be left alone, tried last until then");
                self.seat.net.note_busy(&incoming.source, time);
            }
        }
        self.call.handle(input, &mut env(&mut self.seat.ids));
    }
    fn timeout(&mut self) {
        self.call.handle_timeout(&mut env(&mut self.seat.ids));
    }
    /// The task has failed: both parties are told what its call still knows.
    fn farewell(&self) {
        tracing::error!("the fault is in the call itself: both parties are told with what is left of it");
        let byes = catch_unwind(AssertUnwindSafe(|| self.call.farewells())).unwrap_or_default();
        self.remains.bury(&self.seat.net, &self.seat.answerer, byes);
    }
}
