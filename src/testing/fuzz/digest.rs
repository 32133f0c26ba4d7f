//! The target of digest authentication: what strangers say of themselves, what servers ask us, and files of users.

use crate::{
    server::digest::{Guard, Users},
    sip::{
        Headers, Method, Request, Text, Uri,
        auth::{Answer, Challenge},
    },
};
use std::time::Instant;
use zeroize::Zeroizing;

/// Any text as a challenge, as the answer to one, and as a file of users. Nobody is let in who has no password.
#[expect(clippy::disallowed_methods, reason = "where time begins; it does not go on")]
pub fn digest(data: &[u8]) {
    let text = Text::from(data.to_vec());
    if let Ok(challenge) = Challenge::parse(text.clone()) {
        // Control characters become blanks in print.
        let again = Challenge::parse(challenge.to_text()).expect("what we print is a challenge");
        assert_eq!(Challenge::parse(again.to_text()).as_ref(), Ok(&again));
        assert_eq!(
            (again.algorithm, again.qop_auth),
            (challenge.algorithm, challenge.qop_auth)
        );
    }
    let answer = Answer::parse(text.clone());
    let hash = "0".repeat(64);
    let file = match &answer {
        Ok(answer) => format!("{}:{}:{hash}\n", answer.username, answer.realm),
        Err(_) => format!("alice:example.org:{hash}\n"),
    };
    for bytes in [data, file.as_bytes()] {
        let Ok(users) = Users::parse(bytes) else { continue };
        let uri = answer
            .as_ref()
            .ok()
            .and_then(|it| Uri::parse(it.uri.clone()).ok());
        let uri = uri.unwrap_or_else(|| Uri::sip(None, "example.org", None));
        let mut request = Request::new(Method::Invite, uri);
        request.headers = Headers::default();
        request.headers.push("From", "<sip:alice@example.org>;tag=1");
        request.headers.push("Authorization", text.clone());
        let now = Instant::now();
        let mut guard = Guard::new(Zeroizing::new([1; 32]), now);
        let here = [192, 0, 2, 1].into();
        let challenges = guard.challenges(&users, (here, false), now);
        for challenge in &challenges {
            assert_eq!(Challenge::parse(challenge.to_text()).as_ref(), Ok(challenge));
        }
        assert!(!challenges.is_empty());
        assert!(guard.judge(&users, &request, here, now).is_err());
    }
}
