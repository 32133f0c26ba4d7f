//! Why an operation failed.

use crate::sip::{Response, Status};
use std::{sync::Arc, time::Duration};

/// Bytes of reason phrase that are kept.
const MAX_PHRASE: usize = 80;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) why: Arc<str>,
    /// By this answer.
    pub(crate) status: Option<Status>,
    pub(crate) retry_after: Option<Duration>,
    /// By the server's own word: nothing is left of what it had granted.
    pub(crate) refused: bool,
}

impl Trouble {
    /// Of the network, or of the moment.
    pub(crate) fn passing(why: impl Into<Arc<str>>) -> Self {
        Self {
            why: why.into(),
            status: None,
            retry_after: None,
            refused: false,
        }
    }
    /// What a final response that grants nothing says.
    pub(super) fn of(response: &Response) -> Self {
        Self {
            why: why(response).into(),
            status: Some(response.status),
            retry_after: response.headers.retry_after(),
            refused: is_refusal(response.status),
        }
    }
}

/// Why the server refused, in Flexisip's words where it has some.
fn why(response: &Response) -> String {
    match response.status {
        Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED | Status::FORBIDDEN => {
            "Bad credentials".to_owned()
        }
        Status::NOT_FOUND => "User not found".to_owned(),
        status => {
            let phrase = response.reason.to_str();
            let phrase: String = phrase
                .chars()
                .filter(|letter| !letter.is_control())
                .take(MAX_PHRASE)
                .collect();
            let phrase = if phrase.is_empty() {
                status.reason()
            } else {
                &phrase
            };
            format!("{status} {phrase}")
        }
    }
}

/// Whether the server itself has refused the account, so that what it granted earlier is gone or worthless; what else fails may be
/// the network's fault or a bad moment, and that lasts.
fn is_refusal(status: Status) -> bool {
    let passing = [408, 423, 430, 480, 486, 491];
    (400..500).contains(&status.code()) && !passing.contains(&status.code()) || status.code() >= 600
}
