//! What a NOTIFY says, and what it is answered with where it says nothing.

use crate::sip::{
    Request, Response, Status,
    message_summary::{MESSAGE_SUMMARY, SIMPLE_MESSAGE_SUMMARY},
    subscription::{Event, SubscriptionState, Termination},
};

/// The largest summary that is taken, in bytes: each account may have one that waits to be passed on.
const MOST: usize = 8192;

/// What a NOTIFY says of its subscription.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// More will come. It lasts for so many seconds, where it says so.
    Lasts(Option<u32>),
    /// Nothing more comes, and why.
    Over(Termination),
}

/// Reads a NOTIFY that belongs to a subscription of ours.
///
/// # Errors
/// What it is answered with.
pub(super) fn read(request: &Request) -> Result<Notice, Box<Response>> {
    let refuse = |status: Status, name: &str, value: &str| {
        let mut response = request.respond(status, None);
        if !name.is_empty() {
            response.headers.push(name, value);
        }
        Err(Box::new(response))
    };
    let required: Vec<String> = request
        .headers
        .values("Require")
        .map(|tag| tag.to_string())
        .filter(|tag| !tag.is_empty())
        .collect();
    if !required.is_empty() {
        return refuse(Status::BAD_EXTENSION, "Unsupported", &required.join(", "));
    }
    let is_ours = Event::of(&request.headers)
        .is_some_and(|event| event.package.eq_ignore_ascii_case(MESSAGE_SUMMARY.as_bytes()));
    if !is_ours {
        return refuse(Status::BAD_EVENT, "Allow-Events", MESSAGE_SUMMARY);
    }
    if request.body.len() > MOST {
        return refuse(Status::REQUEST_ENTITY_TOO_LARGE, "", "");
    }
    if !request.body.is_empty() && !is_summary(request) {
        return refuse(Status::UNSUPPORTED_MEDIA_TYPE, "Accept", SIMPLE_MESSAGE_SUMMARY);
    }
    Ok(match SubscriptionState::of(&request.headers) {
        Some(SubscriptionState::Terminated) => Notice::Over(Termination::of(&request.headers)),
        Some(SubscriptionState::Active { expires }) => Notice::Lasts(expires),
        // RFC 3265 had notifiers that left it out.
        Some(SubscriptionState::Pending) | None => Notice::Lasts(None),
    })
}

fn is_summary(request: &Request) -> bool {
    let Some(written) = request.headers.get("Content-Type") else {
        return false;
    };
    let end = written
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(written.len());
    let media_type = written.get(..end).unwrap_or_default().trim_ascii();
    media_type.eq_ignore_ascii_case(SIMPLE_MESSAGE_SUMMARY.as_bytes())
}
