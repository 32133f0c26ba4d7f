//! All registrations of a server: whose response is whose.

use super::{
    machine::{Binding, Name, Registration},
    plan::RegistrationStatus,
};
use crate::{
    call::Env,
    roll::{Roll, RollOutput},
    sip::{Response, Text, routing::Own},
};

/// See the module.
pub type Book = Roll<Registration>;

/// What a [`Book`] wants done.
pub type BookOutput = RollOutput<Registration>;

/// What is known of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// How far it is.
    pub status: RegistrationStatus,
    /// What the registrar has granted, while it lasts.
    pub binding: Option<Binding>,
}

impl Roll<Registration> {
    /// A response to a REGISTER. `false` when it is nobody's.
    pub fn response(&mut self, response: &Response, env: &mut Env<'_>) -> bool {
        let Ok(call_id) = response.headers.call_id() else {
            return false;
        };
        self.act_named(&Name::Call(call_id), env, |it, env| it.response(response, env))
            .is_some()
    }
    /// A connection of that one's own is lost.
    pub fn lost(&mut self, own: &Own, env: &mut Env<'_>) {
        self.act_named(&Name::Own(own.clone()), env, Registration::lost);
    }
    /// A REGISTER with this Call-ID and branch could not be sent.
    pub fn undeliverable(&mut self, call_id: &Text, branch: &Text, env: &mut Env<'_>) {
        self.act_named(&Name::Call(call_id.clone()), env, |it, env| {
            it.undeliverable(branch.as_bytes(), env);
        });
    }
}
