//! Applications: they decide how calls are bridged. Everything an author needs is re-exported here.

pub mod mailboxes;
pub mod registrations;
pub mod registry;
pub mod services;
pub mod trunks;

pub use crate::call::failure::Kind as FailureKind;
pub use crate::call::{
    CallEvent, Cause, Contact, Decision, Encryption, EncryptionPolicy, Failure, Handover, HeaderList,
    HeaderListError, InCall, InCallRequest, Invite, Lease, Limits, MediaPolicy, NatLatching, Origin,
    Outgoing, RelayChoice, Rescue, Side, Standalone, Summary,
};
pub use mailboxes::{MailboxPlan, MailboxStatus, Mailboxes};
pub use registrations::{AccountKey, RegistrationPlan, RegistrationStatus, Registrations};
pub use registry::{Bound, Built, CallState, Registered};
pub use services::{OwnConnections, Remarks, Services, SystemClock, WallClock};
pub use trunks::{TrunkState, Trunks};

use serde::de::DeserializeOwned;
use std::{future::Future, sync::Arc};

/// Decides how calls are bridged. One value per server, shared by all calls.
///
/// Futures may be dropped at any await point (the caller hung up): leave nothing behind that a drop does not undo.
pub trait Application: Sized + Send + Sync + 'static {
    /// Section `[b2bua-server::NAME]`, and the value of `application=`.
    const NAME: &'static str;
    /// What it does: a sentence for the sample.
    const HELP: &'static str;
    /// The keys of that section: read, documented and checked by this table.
    const KEYS: &'static [crate::config::Key];
    /// What the section is read into.
    type Config: DeserializeOwned;
    /// What this application remembers about one call. Dropped with the call.
    type Call: Default + Send + 'static;

    /// Makes the application. Called once at start and again at each reload, which may be refused after it: nothing that reaches
    /// beyond this value begins here, but in [`Self::take_over`].
    fn build(
        config: Self::Config,
        services: &Services,
    ) -> impl Future<Output = Result<Self, BuildError>> + Send;
    /// Its configuration is in force from now on: registrations are ordered here, and tasks begin, within the server's runtime.
    /// At a reload it takes over from the one before what its calls still hold, so that they go on to count. Must not block.
    fn take_over(&mut self, before: Option<&Self>) {
        let _ = before;
    }
    /// A call arrived: where should it go?
    fn route(&self, call: &mut Self::Call, invite: &Invite) -> impl Future<Output = Decision> + Send;
    /// A request that begins no call: MESSAGE, PUBLISH, SUBSCRIBE, NOTIFY outside of a subscription, unknown methods. Where
    /// should it go? Of what [`Decision::Bridge`] says of media nothing is used. Not taken unless an application says so.
    fn route_standalone(&self, request: &Standalone) -> impl Future<Output = Decision> + Send {
        let failure = request.refusal();
        async { Decision::Decline(failure) }
    }
    /// Leg B failed before answer and no route is left.
    fn rescue(&self, call: &mut Self::Call, failure: &Failure) -> impl Future<Output = Rescue> + Send {
        let _ = (call, failure);
        async { Rescue::Relay }
    }
    /// A party asks for something within the call: REFER, INFO, MESSAGE, a method that nobody knows. They are asked about one
    /// after another, in the order in which they came.
    fn in_call(&self, call: &mut Self::Call, request: &InCallRequest) -> impl Future<Output = InCall> + Send {
        let _ = (call, request);
        async { InCall::Forward }
    }
    /// A device calls for the place of a party of the call, by INVITE with Replaces (RFC 3891): may it? Whoever knows the dialog's
    /// identifiers and may call can ask for it. With the error it is refused; nobody else hears of that. Yes, unless an application
    /// says otherwise.
    ///
    /// # Errors
    /// What the device is answered.
    fn handover(
        &self,
        call: &mut Self::Call,
        handover: &Handover,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = (call, handover);
        async { Ok(()) }
    }
    /// What there is to say of how it is at the moment, for `SIP_BRIDGE INFO` on the control socket, `/accounts`, and
    /// `b2bua accounts`. `None`: nothing. Must not block.
    fn report(&self) -> Option<serde_json::Value> {
        None
    }
    /// Which header fields cross inside the call, either way: with requests that cross and their answers, with BYE, and with failures.
    /// What describes a body or belongs to its method (`Content-Type`, `Refer-To` …) does in any case. None, by default.
    fn forwarded(&self) -> Arc<HeaderList> {
        Arc::default()
    }
    /// Something happened. Must not block; accounting and slot release live here.
    fn observe(&self, call: &mut Self::Call, event: &CallEvent) {
        let _ = (call, event);
    }
}

/// Why an application cannot be made from its configuration: all problems, each with its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|(key, what)| format!("{key}: {what}")).collect::<Vec<_>>().join("; "))]
pub struct BuildError(pub Vec<(String, String)>);
