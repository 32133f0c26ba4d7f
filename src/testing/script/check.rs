//! What a script expects of a message.

use crate::{sip::Message, testing::privacy::description};

/// Looks at each expectation in turn.
pub(super) fn check(message: &Message, checks: &[&str]) -> Result<(), String> {
    let mut words = checks;
    while !words.is_empty() {
        words = match *words {
            ["sdp", verb @ ("~" | "!~"), text, ref rest @ ..] => {
                let body = String::from_utf8_lossy(message.body()).into_owned();
                if description(message).is_none() {
                    return Err("it has no SDP".to_owned());
                }
                if body.contains(text) != (verb == "~") {
                    return Err(format!("sdp {verb} {text:?} is not so:\n{body}"));
                }
                rest
            }
            ["fragment", text, ref rest @ ..] => {
                let body = String::from_utf8_lossy(message.body()).into_owned();
                let is_fragment = message
                    .headers()
                    .get("Content-Type")
                    .is_some_and(|kind| kind.starts_with(b"message/sipfrag"));
                if !is_fragment || body.trim_end() != text {
                    return Err(format!("it does not tell {text:?}: {body:?}"));
                }
                rest
            }
            ["no-sdp", ref rest @ ..] => {
                if description(message).is_some() {
                    return Err("it has SDP".to_owned());
                }
                rest
            }
            ["header", name, "absent", ref rest @ ..] => match message.headers().get(name) {
                None => rest,
                Some(value) => return Err(format!("{name}: {value} is there")),
            },
            ["header", name, verb @ ("~" | "="), text, ref rest @ ..] => {
                let values: Vec<String> = message
                    .headers()
                    .all(name)
                    .map(|value| value.to_string())
                    .collect();
                let fits = |value: &String| {
                    if verb == "~" {
                        value.contains(text)
                    } else {
                        value == text
                    }
                };
                if !values.iter().any(fits) {
                    return Err(format!("header {name} {verb} {text:?} is not so: {values:?}"));
                }
                rest
            }
            ["uri", text, ref rest @ ..] => match message {
                Message::Request(request) if request.uri.as_str() == text => rest,
                _ => return Err(format!("the Request-URI is not {text}")),
            },
            _ => return Err(format!("check not understood: {words:?}")),
        };
    }
    Ok(())
}
