//! All subscriptions to mailboxes: whose message is whose.

use super::machine::MailboxSubscription;
use crate::{
    call::Env,
    roll::{AccountKey, Roll, RollOutput},
    sip::{Request, Response, Text, Uri, routing::DialogKey},
};
use std::sync::Arc;

/// See the module.
pub type MailboxBook = Roll<MailboxSubscription>;

/// What a [`MailboxBook`] wants done.
pub type MailboxBookOutput = RollOutput<MailboxSubscription>;

impl Roll<MailboxSubscription> {
    /// An account is registered, and its requests take that way; `None`: it is not. Of those that are not here it means nothing.
    pub fn ready(&mut self, key: &AccountKey, service_route: Option<Arc<[Uri]>>, env: &mut Env<'_>) {
        self.act_for(key, env, |it, _| it.ready(service_route));
    }
    /// A response to a SUBSCRIBE. `false` when it is nobody's.
    pub fn response(&mut self, response: &Response, env: &mut Env<'_>) -> bool {
        let Some(key) = DialogKey::of_response(response) else {
            return false;
        };
        self.act_named(&key, env, |it, env| it.response(response, env))
            .is_some()
    }
    /// A request inside of a dialog; gives what it is answered with, or nothing when it is nobody's.
    pub fn request(&mut self, request: &Request, env: &mut Env<'_>) -> Option<Response> {
        let key = DialogKey::of_request(request)?;
        self.act_named(&key, env, |it, env| it.request(request, env))
    }
    /// A SUBSCRIBE of this dialog and with this branch could not be sent.
    pub fn undeliverable(&mut self, key: &DialogKey, branch: &Text, env: &mut Env<'_>) {
        self.act_named(key, env, |it, env| it.undeliverable(branch.as_bytes(), env));
    }
}
