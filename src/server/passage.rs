//! One task for each request outside of calls, and for the subscription that it begins: what is between the machine, the
//! application and the wire.

use super::{
    Gauges,
    call_task::{Leaving, NEVER, env, now, unwound},
    dispatch::Dispatcher,
    inbox::{Inbox, InboxReceiver, Told, inbox},
    message_waiting::Delivery,
    orders::Control,
    redact::Redacted,
    standalone::{Answerer, reply},
    workload::{Busy, Waiting},
};
use crate::{
    app::Bound,
    call::{
        Cause, Command, Decision, Incoming, Input, Origin, Side, Standalone,
        failure::Kind,
        leg::{Passage, PassageOutput, Profile},
    },
    net::Net,
    sip::{
        Ids, Message, Request, Status,
        routing::{NextHop, Source, TransactionKey},
    },
};
use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::Arc,
};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, sleep_until},
};
use tracing::Instrument as _;

impl Dispatcher {
    /// A request that begins no call.
    pub(super) fn standalone(&mut self, request: Request, key: TransactionKey, source: Source) {
        if self.is_ours(&request) {
            tracing::info!(from = %source.remote, method = %request.method, "loop detected");
            let response = self.answerer.response(&request, Status::LOOP_DETECTED);
            return self.answer(&request, response, source);
        }
        if let Err(refusal) = self.policy.admit_standalone(self.load()) {
            return self.refuse(&request, &key, source, refusal);
        }
        let (seat, receiver) = self.seat(Some(key));
        let incoming = self.incoming(request.into(), source);
        self.overload.took(self.turn.waited(), self.turn.now);
        tokio::spawn(run(seat, incoming, self.waiting(), receiver));
    }
    /// News of a mailbox, which came in a subscription of our own. What finds no room is told again when it changes.
    pub(super) fn news(&mut self, news: Standalone, delivery: Delivery) {
        if self.policy.admit_standalone(self.load()).is_err() {
            return tracing::warn!(uri = %news.uri(), "no room to pass on news of a mailbox");
        }
        let (seat, receiver) = self.seat(None);
        tokio::spawn(pass_on(seat, news, receiver, delivery));
    }
    fn seat(&mut self, key: Option<TransactionKey>) -> (Seat, InboxReceiver) {
        let (inbox, receiver) = inbox();
        let seat = Seat {
            number: self.maps.begin_standalone(inbox.clone(), key),
            net: self.net.clone(),
            control: self.control.clone(),
            gauges: self.gauges.clone(),
            answerer: self.answerer.clone(),
            profile: self.policy.calls.profile.clone(),
            app: self.policy.app.clone(),
            ids: self.ids.fork(),
            inbox,
        };
        (seat, receiver)
    }
    /// Nobody waits for subscriptions to end when the server stops: who wants one asks elsewhere.
    pub(super) fn end_standalone(&self) {
        for number in &self.maps.standalone {
            if let Some(entry) = self.maps.calls.get(number) {
                let cause = Cause::of(Kind::Shutdown, Origin::Local);
                entry.inbox.push(Input::Command(Command::Hangup(cause)));
            }
        }
    }
}

/// What the task has of the server.
pub(super) struct Seat {
    pub(super) number: u64,
    pub(super) net: Net,
    pub(super) control: mpsc::UnboundedSender<Control>,
    pub(super) gauges: Arc<Gauges>,
    pub(super) answerer: Arc<Answerer>,
    pub(super) profile: Arc<Profile>,
    pub(super) app: Bound,
    pub(super) ids: Ids,
    pub(super) inbox: Inbox,
}

/// Serves one request from its coming to its last timer.
pub(super) async fn run(seat: Seat, incoming: Incoming, waiting: Waiting, inbox: InboxReceiver) {
    let span = tracing::info_span!("standalone", id = seat.number);
    serve(seat, incoming, waiting, inbox).instrument(span).await;
}

/// Passes news of a mailbox on.
async fn pass_on(mut seat: Seat, news: Standalone, mut inbox: InboxReceiver, delivery: Delivery) {
    let span = tracing::info_span!("standalone", id = seat.number);
    let _delivery = delivery;
    let _leaving = Leaving {
        number: seat.number,
        control: seat.control.clone(),
        gauges: seat.gauges.clone(),
    };
    let gauges = seat.gauges.clone();
    let (profile, source) = (seat.profile.clone(), news.source);
    let passage = match Passage::originate(news, profile, &mut env(&mut seat.ids)) {
        Ok(passage) => Box::new(passage),
        Err(error) => return tracing::info!(%error, "news of a mailbox cannot be passed on"),
    };
    let mut task = Task {
        passage,
        seat,
        came: source,
        replies: VecDeque::new(),
        busy: None,
        closed: false,
    };
    let driven = pin!(task.drive(&mut inbox));
    if unwound(driven).instrument(span).await.is_err() {
        gauges.faults.add();
        tracing::error!("a fault in the task of news of a mailbox");
    }
}

async fn serve(mut seat: Seat, incoming: Incoming, waiting: Waiting, mut inbox: InboxReceiver) {
    let busy = waiting.begin(now());
    let _leaving = Leaving {
        number: seat.number,
        control: seat.control.clone(),
        gauges: seat.gauges.clone(),
    };
    let Message::Request(request) = incoming.message.clone() else {
        return;
    };
    let source = incoming.source;
    tracing::info!(from = %source.remote, method = %request.method, "request");
    let profile = seat.profile.clone();
    match Passage::new(incoming, profile, &mut env(&mut seat.ids)) {
        Err(failure) => {
            tracing::info!(status = %failure.status, reason = ?failure.reason, "refused");
            let response = seat.answerer.failure(&request, &failure);
            seat.net.send(reply(&request, &response, source));
        }
        Ok(passage) => {
            let (net, answerer, gauges) = (seat.net.clone(), seat.answerer.clone(), seat.gauges.clone());
            let mut task = Task {
                passage: Box::new(passage),
                seat,
                came: source,
                replies: VecDeque::new(),
                busy: Some(busy),
                closed: false,
            };
            if unwound(pin!(task.drive(&mut inbox))).await.is_err() {
                gauges.faults.add();
                tracing::error!("a fault in this request's task");
                let response = answerer.response(&request, Status::SERVER_INTERNAL_ERROR);
                net.send(reply(&request, &response, source));
            }
        }
    }
}

struct Task {
    passage: Box<Passage>,
    seat: Seat,
    came: Source,
    /// Answers that were there at once, for when the machine has been drained.
    replies: VecDeque<Input>,
    busy: Option<Busy>,
    closed: bool,
}

type Question = Pin<Box<dyn Future<Output = Decision> + Send>>;

impl Task {
    async fn drive(&mut self, inbox: &mut InboxReceiver) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the driver of requests outside of calls: time enters here"
        )]
        let mut clock = pin!(sleep_until(Instant::now() + NEVER));
        let mut question: Option<Question> = None;
        loop {
            self.drain(&mut question);
            if let Some(busy) = self.busy.take() {
                busy.end(now());
            }
            if self.closed {
                return;
            }
            self.wind(clock.as_mut());
            let asked = question.is_some();
            let answer = async {
                match &mut question {
                    Some(question) => question.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                told = inbox.next() => match told {
                    Some(Told::Input(delivery)) => {
                        self.busy = delivery.waiting.map(|waiting| waiting.begin(now()));
                        self.take(delivery.input);
                    }
                    // It is no call, so it is in no list of them. Never the end: the task has a sender itself.
                    Some(Told::Report(_)) | None => {}
                },
                decision = answer, if asked => {
                    question = None;
                    let mut env = env(&mut self.seat.ids);
                    self.passage.handle_decision(decision, &mut env);
                }
                () = clock.as_mut() => self.passage.handle_timeout(&mut env(&mut self.seat.ids)),
            }
        }
    }
    fn wind(&self, clock: Pin<&mut Sleep>) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the driver of requests outside of calls: time enters here"
        )]
        let deadline = self
            .passage
            .poll_timeout()
            .map_or_else(|| Instant::now() + NEVER, Instant::from_std);
        if clock.deadline() != deadline {
            clock.reset(deadline);
        }
    }
    fn take(&mut self, input: Input) {
        let mut env = env(&mut self.seat.ids);
        match input {
            Input::Message(side, incoming) => self.passage.handle_message(side, incoming, &mut env),
            Input::Targets(side, targets) => self.passage.handle_targets(side, targets, &mut env),
            Input::Undeliverable(_, unsent) => self.passage.handle_undeliverable(&unsent, &mut env),
            Input::Command(Command::Hangup(cause)) => self.passage.end(&cause, &mut env),
            // Of calls. A passage is ended at once when the server goes down.
            Input::Command(Command::Report | Command::Drain | Command::Adopt(_))
            | Input::Give(_)
            | Input::Withheld(..)
            | Input::Kept(_)
            | Input::Lost(_)
            | Input::Designate(..)
            | Input::Replace(..)
            | Input::Identified(..)
            | Input::Verdict(_)
            | Input::Media(_)
            | Input::Handshake(_)
            | Input::Retained(_) => {}
        }
    }
    /// Does what the machine wants done, until it wants nothing.
    fn drain(&mut self, question: &mut Option<Question>) {
        loop {
            while let Some(output) = self.passage.poll_output() {
                match output {
                    PassageOutput::Ask(request) => {
                        *question = Some(self.seat.app.route_standalone(request));
                    }
                    PassageOutput::Lookup(side, hop) => self.look_up(side, hop),
                    PassageOutput::Transmit(transmit) => {
                        tracing::trace!(to = ?transmit.to, "sent\n{}", Redacted(&transmit.bytes));
                        self.seat.net.send(transmit);
                    }
                    PassageOutput::Dialog(side, key) => {
                        self.control(Control::Dialog(self.seat.number, side, key))
                    }
                    PassageOutput::Tombstone(key, words) => self.control(Control::Tombstone(key, words)),
                    PassageOutput::Closed => self.closed = true,
                }
            }
            match self.replies.pop_front() {
                Some(input) => self.take(input),
                None => return,
            }
        }
    }
    fn control(&self, control: Control) {
        // The dispatcher may have gone before its calls.
        let _ = self.seat.control.send(control);
    }
    fn look_up(&mut self, side: Side, hop: NextHop) {
        let came = (side == Side::A).then_some(self.came);
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
}
