//! One task for each call: the only place where call, application, wire, relay and clock meet.

use super::{
    Gauges,
    cdr::Receipt,
    farewell::Remains,
    handshakes::{Handshakes, Shared},
    inbox::{Inbox, InboxReceiver, Listing, Told},
    orders::Control,
    redact::Redacted,
    retained,
    standalone::{Answerer, reply},
    watch::{self, Watch},
    workload::{Busy, Waiting},
    zid_cache::ZidCache,
};
use crate::{
    app::{Bound, CallState},
    call::{
        Call, CallEvent, CallNumber, Cause, Command, Env, Incoming, Input, Origin, Output, Question, Side,
        Summary, Transmit, bridge::CallSettings, failure::Kind,
    },
    media::{
        MediaCommand, MediaEvent,
        relay::{Relay, Session},
    },
    net::Net,
    sip::{
        Ids, Message,
        routing::{NextHop, TransactionKey},
    },
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
    /// Says what there is of the call to all who have asked.
    fn report(&mut self, summary: &Summary) {
        for listing in std::mem::take(&mut self.listings) {
            // Who asked may have lost patience.
            let _ = listing.send(Box::new(self.seat.receipt.running(summary)));
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
    /// Does what the call wants done, until it wants nothing or what it wants concerns its question.
    fn drain(&mut self, observe: &mut dyn FnMut(&CallEvent)) -> Drained {
        loop {
            while let Some(output) = self.call.poll_output() {
                match output {
                    Output::Transmit(side, transmit) => self.transmit(side, transmit),
                    Output::Lookup(side, hop) => self.look_up(side, hop),
                    Output::Media(command) => self.media(command),
                    Output::Handshake(command) => {
                        self.handshakes
                            .obey(command, self.session.as_ref(), &self.seat.inbox);
                    }
                    Output::Event(event) => {
                        self.note(&event);
                        self.seat.receipt.note(&event);
                        observe(&event);
                    }
                    Output::Zrtp(command) => retained::obey(&self.seat.cache, command, &self.seat.inbox),
                    Output::Dialog(side, key) => {
                        // The first is the caller's; a party that takes its place has another dialog.
                        if side == Side::A && self.remains.tag.is_none() {
                            self.remains.tag = Some(key.local_tag.clone());
                        }
                        self.control(Control::Dialog(self.seat.number, side, key));
                    }
                    Output::Invited(key, uri) => self.control(Control::Invited(self.seat.number, key, uri)),
                    Output::Tombstone(key, words) => self.control(Control::Tombstone(key, words)),
                    Output::Report(summary) => self.report(&summary),
                    Output::Refused(invite, failure) => {
                        if let Message::Request(request) = &invite.message {
                            let response = self.seat.answerer.failure(request, &failure);
                            let words = reply(request, &response, invite.source);
                            if let Ok(key) = TransactionKey::of(request) {
                                self.control(Control::Refused(self.seat.number, key, words.clone()));
                            }
                            self.seat.net.send(words);
                        }
                    }
                    Output::Identify(replaces) => {
                        self.control(Control::Identify(CallNumber(self.seat.number), replaces));
                    }
                    Output::Designated(asker, replaces, found) => {
                        self.control(Control::Designated(asker, replaces, found));
                    }
                    Output::Adopt(mut wish) => {
                        wish.asker = CallNumber(self.seat.number);
                        self.control(Control::Adopt(wish));
                    }
                    Output::Give(mut adoptee) => {
                        adoptee.leaves(CallNumber(self.seat.number));
                        self.control(Control::Move(self.seat.number, adoptee));
                    }
                    Output::Withheld(asker, named, failure) => {
                        self.control(Control::Tell(asker, Box::new(Input::Withheld(named, failure))));
                    }
                    Output::Kept(home, dialog) => {
                        self.control(Control::Tell(home, Box::new(Input::Kept(dialog))));
                    }
                    Output::Forward(dialog, input) => self.control(Control::Forward(dialog, input)),
                    Output::Finished(_) => self.finished = true,
                    Output::Ask(question) => return Drained::Asked(question),
                    Output::Withdraw => return Drained::Withdrawn,
                }
            }
            match self.replies.pop_front() {
                Some(input) => self.take(input),
                None => return Drained::Idle,
            }
        }
    }
    fn control(&self, control: Control) {
        // The dispatcher may have gone before its calls.
        let _ = self.seat.control.send(control);
    }
    fn transmit(&mut self, side: Side, transmit: Transmit) {
        tracing::trace!(leg = ?side, to = ?transmit.to, "sent\n{}", Redacted(&transmit.bytes));
        if side == Side::B && transmit.bytes.starts_with(b"INVITE ") {
            if let Some(dead) = self.watch.invited(&transmit) {
                tracing::debug!(target = %dead.remote, "did not answer, tried last for a while");
                self.seat.net.note_dead(&dead);
            }
            self.remains.invited = Some(transmit.clone());
        }
        self.seat.net.send(transmit);
    }
    fn look_up(&mut self, side: Side, hop: NextHop) {
        // Leg A has chosen which address of ours it speaks to.
        let came = (side == Side::A).then_some(self.remains.invite.source);
        if let Some(found) = self.seat.net.resolve_now(&hop, came.as_ref()) {
            self.replies.push_back(Input::Targets(side, found));
            return;
        }
        let (net, inbox) = (self.seat.net.clone(), self.seat.inbox.clone());
        tokio::spawn(async move {
            let found = net.resolve(&hop, came.as_ref()).await;
            inbox.push(Input::Targets(side, found));
        });
    }
    fn media(&mut self, command: MediaCommand) {
        let inbox = &self.seat.inbox;
        let session = self.session.get_or_insert_with(|| {
            let inbox = inbox.clone();
            Arc::new(self.seat.relay.session(Arc::new(move |event| {
                if matches!(event, MediaEvent::Control { .. }) {
                    // Strangers can send them; what finds no room will be repeated.
                    inbox.offer(Input::Media(event));
                } else {
                    inbox.push(Input::Media(event));
                }
            })))
        });
        session.send(command);
    }
    /// One line for each phase.
    fn note(&self, event: &CallEvent) {
        match event {
            CallEvent::Answered => {
                self.seat.gauges.answered.add();
                tracing::info!("answered");
            }
            CallEvent::Ended(summary) => {
                tracing::info!(
                    status = %summary.status,
                    failure = summary.failure.as_ref().map(|failure| tracing::field::debug(failure.kind)),
                    by = summary.cause.as_ref().map(|cause| tracing::field::debug(cause.origin)),
                    why = summary.cause.as_ref().and_then(|cause| cause.kind).map(tracing::field::debug),
                    encryption_a = summary.encryption.0.map(tracing::field::display),
                    encryption_b = summary.encryption.1.map(tracing::field::display),
                    sas_a = summary.sas.0.as_ref().map(|sas| sas.text.as_str()),
                    sas_b = summary.sas.1.as_ref().map(|sas| sas.text.as_str()),
                    lasted = ?summary.ended.saturating_duration_since(summary.began),
                    "ended"
                );
                self.control(Control::Over(self.seat.number));
            }
            CallEvent::Keyed {
                side,
                encryption,
                sas: Some(sas),
            } => {
                tracing::info!(leg = ?side, %encryption, sas = sas.text, verified = sas.verified, mismatch = sas.mismatch, "keyed")
            }
            CallEvent::Referred { by, to } => tracing::info!(?by, to, "transfer asked for"),
            CallEvent::Transferred { by, status } => tracing::info!(?by, %status, "transfer"),
            CallEvent::Dialled { target } => tracing::info!(target, "calling"),
            CallEvent::Ringing(status) => tracing::info!(%status, "ringing"),
            other => tracing::debug!(?other, "call"),
        }
    }
    /// The task has failed: both parties are told what its call still knows.
    fn farewell(&self) {
        tracing::error!("the fault is in the call itself: both parties are told with what is left of it");
        let byes = catch_unwind(AssertUnwindSafe(|| self.call.farewells())).unwrap_or_default();
        self.remains.bury(&self.seat.net, &self.seat.answerer, byes);
    }
}
