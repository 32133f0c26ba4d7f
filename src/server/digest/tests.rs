//! Tests of who is taken for whom: the client here is the one with which we answer others' challenges.

use super::*;
use crate::sip::{Message, Method, auth::Credentials, parse};
use proptest::prelude::*;
use std::time::Duration;

const HERE: [u8; 4] = [198, 51, 100, 7];
const ELSEWHERE: [u8; 4] = [198, 51, 100, 8];
fn hash(algorithm: Algorithm, user: &str) -> String {
    use sha2::Digest as _;
    let text = format!("{user}:example.org:secret");
    match algorithm {
        Algorithm::Sha256 | Algorithm::Sha256Sess => hex::encode(sha2::Sha256::digest(text)),
        Algorithm::Md5 | Algorithm::Md5Sess => {
            use md5::Digest as _;
            hex::encode(md5::Md5::digest(text))
        }
    }
}

fn lines(users: &[&str], algorithms: &[Algorithm]) -> String {
    let of = |user: &&str| {
        let line = |algorithm: &Algorithm| format!("{user}:example.org:{}\n", hash(*algorithm, user));
        algorithms.iter().map(line).collect::<String>()
    };
    users.iter().map(of).collect()
}

const BOTH: [Algorithm; 2] = [Algorithm::Md5, Algorithm::Sha256];

fn users() -> Users {
    Users::parse(lines(&["alice", "bob@example.org", "+4930123"], &BOTH).as_bytes()).unwrap()
}

struct Rig {
    guard: Guard,
    users: Users,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "where time begins; it goes on by hand")]
        let now = Instant::now();
        Self {
            guard: Guard::new(Zeroizing::new([7; 32]), now),
            users: users(),
            now,
        }
    }
    fn challenges(&mut self) -> Vec<Challenge> {
        self.guard.challenges(&self.users, (HERE.into(), false), self.now)
    }
    fn judge(&mut self, request: &Request, from: [u8; 4]) -> Result<String, Objection> {
        let user = self.guard.judge(&self.users, request, from.into(), self.now);
        user.map(ToOwned::to_owned)
    }
}

fn request(method: &str, from: &str) -> Request {
    let text = format!(
        "{method} sip:carol@example.net SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKx\r\nFrom: <{from}>;tag=1\r\n\
         To: <sip:carol@example.net>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\r\n"
    );
    match parse::message(text.into()).unwrap().0 {
        Message::Request(request) => request,
        Message::Response(_) => unreachable!("a request"),
    }
}

/// What a client makes of it that knows this password.
fn answered(challenge: &Challenge, user: &str, password: &str, count: u32, from: &str) -> Request {
    let mut request = request("INVITE", from);
    let credentials = Credentials {
        username: user.into(),
        realm: None,
        secret: Secret::Clear(password.into()),
    };
    let read = Challenge::parse(challenge.to_text()).unwrap();
    assert_eq!(read, *challenge);
    let answer = read.answer(&credentials, &Method::Invite, &request.uri, count, "0a4f113b");
    request.headers.push("Authorization", answer.unwrap());
    request
}

#[test]
fn who_knows_the_password_is_taken_with_either_algorithm_the_better_is_offered_first() {
    let mut rig = Rig::new();
    let challenges = rig.challenges();
    let offered: Vec<_> = challenges.iter().map(|challenge| challenge.algorithm).collect();
    assert_eq!(offered, [Algorithm::Sha256, Algorithm::Md5]);
    assert_ne!(challenges[0].nonce, challenges[1].nonce);
    for challenge in &challenges {
        assert!(challenge.qop_auth && !challenge.stale && challenge.realm == "example.org");
        let request = answered(challenge, "alice", "secret", 1, "sip:alice@phones.example.com");
        assert_eq!(rig.judge(&request, HERE), Ok("alice".into()));
    }
}

#[test]
fn a_wrong_password_is_wrong_and_an_unknown_user_no_less() {
    let mut rig = Rig::new();
    for (user, password) in [("alice", "Secret"), ("mallory", "secret"), ("mallory", "")] {
        let challenge = rig.challenges().remove(0);
        let request = answered(&challenge, user, password, 1, "sip:alice@example.org");
        assert_eq!(rig.judge(&request, HERE), Err(Objection::Wrong));
    }
    assert_eq!(
        rig.judge(&request("INVITE", "sip:alice@example.org"), HERE),
        Err(Objection::Unauthenticated)
    );
}

#[test]
fn an_answer_counts_once_and_the_next_count_is_another() {
    let mut rig = Rig::new();
    let challenge = rig.challenges().remove(0);
    let answer = |count| answered(&challenge, "alice", "secret", count, "sip:alice@example.org");
    assert_eq!(rig.judge(&answer(1), HERE), Ok("alice".into()));
    assert_eq!(rig.judge(&answer(1), HERE), Err(Objection::Stale));
    assert_eq!(rig.judge(&answer(3), HERE), Ok("alice".into()));
    // It has been overtaken.
    assert_eq!(rig.judge(&answer(2), HERE), Ok("alice".into()));
    for count in 1..=3 {
        assert_eq!(rig.judge(&answer(count), HERE), Err(Objection::Stale));
    }
}

#[test]
fn a_nonce_is_good_for_its_host_and_its_time() {
    let mut rig = Rig::new();
    let challenge = rig.challenges().remove(0);
    let answer = |count| answered(&challenge, "alice", "secret", count, "sip:alice@example.org");
    assert_eq!(rig.judge(&answer(1), ELSEWHERE), Err(Objection::Stale));
    rig.now += nonce::LIFE - Duration::from_secs(1);
    assert_eq!(rig.judge(&answer(1), HERE), Ok("alice".into()));
    rig.now += Duration::from_secs(1);
    assert_eq!(rig.judge(&answer(2), HERE), Err(Objection::Stale));
    // Of another run of the server, or of nobody.
    let mut other = Rig::new();
    other.guard = Guard::new(Zeroizing::new([8; 32]), other.now);
    assert_eq!(other.judge(&answer(3), HERE), Err(Objection::Stale));
}

#[test]
fn a_host_that_is_wrong_too_often_is_not_heard_for_a_while_and_others_are() {
    let mut rig = Rig::new();
    let wrong = |rig: &mut Rig, from: [u8; 4]| {
        let challenges = rig.guard.challenges(&rig.users, (from.into(), false), rig.now);
        let request = answered(&challenges[0], "alice", "guess", 1, "sip:alice@example.org");
        rig.judge(&request, from)
    };
    for _ in 0..throttle::AT_ONCE {
        assert_eq!(wrong(&mut rig, HERE), Err(Objection::Wrong));
    }
    assert_eq!(wrong(&mut rig, HERE), Err(Objection::TooOften));
    // Nor when it is right: it would learn that.
    let challenge = rig.challenges().remove(0);
    let right = answered(&challenge, "alice", "secret", 1, "sip:alice@example.org");
    assert_eq!(rig.judge(&right, HERE), Err(Objection::TooOften));
    assert_eq!(wrong(&mut rig, ELSEWHERE), Err(Objection::Wrong));
    rig.now += throttle::EACH;
    assert_eq!(rig.judge(&right, HERE), Ok("alice".into()));
    assert_eq!(wrong(&mut rig, HERE), Err(Objection::Wrong));
    assert_eq!(wrong(&mut rig, HERE), Err(Objection::TooOften));
}

/// Whoever sends with an invented address has no nonce for it: that host stays what it was.
#[test]
fn answers_without_a_nonce_of_the_host_lock_nobody_out() {
    let mut rig = Rig::new();
    let challenge = rig.challenges().remove(0);
    for count in 1..100 {
        let request = answered(&challenge, "alice", "guess", count, "sip:alice@example.org");
        assert_eq!(rig.judge(&request, ELSEWHERE), Err(Objection::Stale));
    }
    let challenges = rig
        .guard
        .challenges(&rig.users, (ELSEWHERE.into(), false), rig.now);
    let right = answered(&challenges[0], "alice", "secret", 1, "sip:alice@example.org");
    assert_eq!(rig.judge(&right, ELSEWHERE), Ok("alice".into()));
}

#[test]
fn from_names_the_user() {
    for (user, from, theirs) in [
        ("alice", "sip:alice@anywhere.example.com", true),
        ("alice", "sips:%61lice@example.org", true),
        ("alice", "sip:Alice@example.org", false),
        ("alice", "sip:bob@example.org", false),
        ("alice", "sip:anonymous@anonymous.invalid", false),
        ("alice", "sip:example.org", false),
        ("bob@example.org", "sip:bob@EXAMPLE.org", true),
        ("bob@example.org", "sip:bob@example.com", false),
        ("+4930123", "tel:+4930123;phone-context=x", true),
        ("+4930123", "tel:+49301234", false),
        ("+4930123", "sip:+4930123@example.org;user=phone", true),
    ] {
        let mut rig = Rig::new();
        let challenge = rig.challenges().remove(0);
        let request = answered(&challenge, user, "secret", 1, from);
        let expected = if theirs {
            Ok(user.to_owned())
        } else {
            Err(Objection::NotTheirs)
        };
        assert_eq!(rig.judge(&request, HERE), expected, "{user} as {from}");
    }
}

#[test]
fn an_answer_is_for_its_request_uri_and_its_method() {
    let mut rig = Rig::new();
    let challenge = rig.challenges().remove(0);
    let mut request = answered(&challenge, "alice", "secret", 1, "sip:alice@example.org");
    request.uri = Uri::parse("sip:0900666@example.net").unwrap();
    assert_eq!(rig.judge(&request, HERE), Err(Objection::Elsewhere));
    let mut request = answered(&challenge, "alice", "secret", 2, "sip:alice@example.org");
    request.method = Method::Message;
    assert_eq!(rig.judge(&request, HERE), Err(Objection::Wrong));
    // The same URI, written otherwise.
    let mut request = answered(&challenge, "alice", "secret", 3, "sip:alice@example.org");
    request.uri = Uri::parse("sip:carol@EXAMPLE.NET").unwrap();
    assert_eq!(rig.judge(&request, HERE), Ok("alice".into()));
}

#[test]
fn what_was_not_asked_for_is_no_answer() {
    let mut rig = Rig::new();
    let challenge = rig.challenges().remove(1);
    let good = answered(&challenge, "alice", "secret", 1, "sip:alice@example.org");
    let value = good.headers.get("Authorization").unwrap().to_string();
    for (from, to) in [
        ("Digest", "Basic"),
        ("algorithm=MD5", "algorithm=MD5-sess"),
        ("algorithm=MD5", "algorithm=SHA-512-256"),
        ("realm=\"example.org\"", "realm=\"example.com\""),
        (", qop=auth", ""),
        ("qop=auth", "qop=auth-int"),
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=0000000A"),
        ("cnonce=\"0a4f113b\", ", ""),
        ("username=", "username*="),
        ("uri=", "uri=\"sip:x@example.org\", uri="),
    ] {
        assert!(value.contains(from), "{from} is not in {value}");
        let mut bad = good.clone();
        bad.headers.set("Authorization", value.replacen(from, to, 1));
        assert_eq!(rig.judge(&bad, HERE), Err(Objection::Unauthenticated), "{to}");
    }
    // Beside others' it is found.
    let mut both = good.clone();
    both.headers
        .set("Authorization", value.replacen("example.org", "other.example", 1));
    both.headers.push("Authorization", value);
    assert_eq!(rig.judge(&both, HERE), Ok("alice".into()));
}

#[test]
fn a_file_says_all_that_is_wrong_with_it_and_shows_no_hash() {
    let (md5, sha) = (hash(Algorithm::Md5, "alice"), hash(Algorithm::Sha256, "alice"));
    let text = format!(
        "alice:example.org:{md5}\nalice\nbob:example.org:letmein\ncarol:example.com:{md5}\nalice:example.org:{sha}\n\
         alice:example.org:{md5}\n:example.org:{md5}\n"
    );
    let faults = Users::parse(text.as_bytes()).unwrap_err();
    let expected = [
        ", line 2: it has not three fields",
        ", line 3: the third field is no hash",
        ", line 4: another realm, \"example.com\"; expected \"example.org\"",
        ", line 6: \"alice\" has a second MD5",
        ", line 7: user or realm is empty",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:?}");
    for (fault, start) in faults.iter().zip(expected) {
        assert!(fault.starts_with(start), "{fault}");
        assert!(!fault.contains(&md5) && !fault.contains("letmein"), "{fault}");
    }
    assert!(Users::parse(b"# nobody\n\n").unwrap_err()[0].contains("names nobody"));
    assert!(Users::parse(b"\xff\xfe:a:b\n").unwrap_err()[0].contains("UTF-8"));
}

#[test]
fn what_not_all_users_have_is_not_offered() {
    let only = lines(&["alice"], &[Algorithm::Md5]);
    let (both, other) = (lines(&["bob"], &BOTH), lines(&["bob"], &[Algorithm::Sha256]));
    let mixed = Users::parse(format!("{only}{both}").as_bytes()).unwrap();
    assert_eq!(mixed.offered(), [Algorithm::Md5]);
    assert!(Users::parse(format!("{only}{other}").as_bytes()).unwrap_err()[0].contains("one algorithm"));
    assert_eq!(
        Users::parse(other.as_bytes()).unwrap().offered(),
        [Algorithm::Sha256]
    );
}

#[test]
fn a_file_that_everybody_can_read_is_remarked_on() {
    use std::{fs, os::unix::fs::PermissionsExt as _};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    fs::write(
        &path,
        lines(&["alice"], &[Algorithm::Md5]) + &lines(&["bob"], &BOTH),
    )
    .unwrap();
    let remarks = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Users::read(&path).unwrap().1
    };
    let (open, closed) = (remarks(0o644), remarks(0o640));
    assert!(open[0].contains("mode 644") && open.len() == 2, "{open:?}");
    assert!(
        closed[0].contains("1 of 2 users have SHA-256") && closed.len() == 1,
        "{closed:?}"
    );
    assert!(Users::read(&folder.path().join("none")).unwrap_err()[0].contains("cannot be read"));
}

#[test]
fn nothing_secret_is_shown() {
    let mut rig = Rig::new();
    let challenge = rig.challenges().remove(0);
    let request = answered(&challenge, "alice", "secret", 1, "sip:alice@example.org");
    let value = request.headers.get("Authorization").unwrap();
    let shown = format!(
        "{:?} {:?} {:?}",
        rig.guard,
        rig.users,
        Answer::parse(value).unwrap()
    );
    for algorithm in BOTH {
        assert!(!shown.contains(&hash(algorithm, "alice")));
    }
    assert!(
        !shown.contains("response") && !shown.contains(&challenge.nonce),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn whatever_is_said_nobody_is_let_in_without_a_password(
        text in "(Digest )?([a-z]{1,8}=(\"[^\"\\\\]{0,20}\"|[a-zA-Z0-9-]{0,20})(, )?){0,12}"
    ) {
        let mut rig = Rig::new();
        let mut request = request("INVITE", "sip:alice@example.org");
        request.headers.push("Authorization", text);
        prop_assert!(rig.judge(&request, HERE).is_err());
    }

    #[test]
    fn a_changed_answer_is_none(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut rig = Rig::new();
        let challenge = rig.challenges().remove(0);
        let mut request = answered(&challenge, "alice", "secret", 1, "sip:alice@example.org");
        let mut value = request.headers.get("Authorization").unwrap().to_vec();
        let at = at.index(value.len());
        let before = std::mem::replace(&mut value[at], to);
        request.headers.set("Authorization", value);
        // As it is heard: a header holds no control characters, whatever it is given.
        let said = Answer::parse(request.headers.get("Authorization").unwrap());
        let user = rig.judge(&request, HERE);
        // The case of names and digits, blanks, and `algorithm` where it is the default, say the same.
        let is_same = said.is_ok_and(|said| {
            let good = answered(&challenge, "alice", "secret", 1, "sip:alice@example.org");
            Answer::parse(good.headers.get("Authorization").unwrap()) == Ok(said)
        });
        let is_case = before.eq_ignore_ascii_case(&to);
        prop_assert!(user.is_err() || is_same || is_case, "{user:?}");
    }
}
