use super::*;

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

fn read(headers: &[(&str, &str)], body: &str) -> Result<Option<Sdp>, Failure> {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.push(*name, *value);
    }
    session(&all, body.as_bytes())
}

fn code(result: Result<Option<Sdp>, Failure>) -> u16 {
    result.expect_err("a failure").status.code()
}

#[test]
fn a_description_is_found_by_its_type_whatever_the_case() {
    let parsed = Sdp::parse(SDP.as_bytes()).expect("SDP");
    assert_eq!(
        read(&[("Content-Type", "application/sdp")], SDP),
        Ok(Some(parsed.clone()))
    );
    assert_eq!(
        read(&[("c", "Application/SDP;charset=utf-8")], SDP),
        Ok(Some(parsed.clone()))
    );
    assert_eq!(read(&[], SDP), Ok(Some(parsed.clone())));
    assert_eq!(
        read(
            &[
                ("Content-Type", "application/sdp"),
                ("Content-Disposition", "session;handling=required")
            ],
            SDP
        ),
        Ok(Some(parsed))
    );
    assert_eq!(read(&[("Content-Type", "application/sdp")], ""), Ok(None));
}

#[test]
fn a_description_among_other_parts_is_found() {
    let parsed = Sdp::parse(SDP.as_bytes()).expect("SDP");
    for line_end in ["\r\n", "\n"] {
        let body = format!(
            "preamble\r\n--b1{e}Content-Type: application/isup;version=x{e}{e}\u{1}\u{2}{e}--b1{e}\
             Content-Type: application/sdp{e}Content-Length: 5{e}{e}{SDP}{e}--b1--{e}epilogue",
            e = line_end
        );
        assert_eq!(
            read(&[("Content-Type", "multipart/mixed; boundary=\"b1\"")], &body),
            Ok(Some(parsed.clone()))
        );
    }
    let nested = format!(
        "--o\r\nContent-Type: multipart/alternative;boundary=i\r\n\r\n--i\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--i--\r\n--o--\r\n"
    );
    assert_eq!(
        read(&[("Content-Type", "multipart/mixed;boundary=o")], &nested),
        Ok(Some(parsed))
    );
}

#[test]
fn what_must_be_understood_and_is_not_gets_415_with_what_would_be() {
    let failure = read(&[("Content-Type", "text/plain")], "hello").expect_err("415");
    assert_eq!(failure.status.code(), 415);
    assert_eq!(failure.headers.get("Accept"), Some("application/sdp".into()));
    let failure = read(
        &[("Content-Type", "application/sdp"), ("Content-Encoding", "gzip")],
        SDP,
    )
    .expect_err("415");
    assert_eq!(failure.status.code(), 415);
    assert_eq!(failure.headers.get("Accept-Encoding"), Some("identity".into()));
    assert_eq!(
        code(read(
            &[("Content-Type", "multipart/mixed;boundary=b")],
            "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n"
        )),
        415
    );
    assert_eq!(
        code(read(&[("Content-Type", "multipart/mixed")], "--b\r\n\r\n--b--")),
        415
    );
}

#[test]
fn what_may_be_ignored_is_ignored() {
    for headers in [
        [
            ("Content-Type", "text/plain"),
            ("Content-Disposition", "render;handling=optional"),
        ],
        [
            ("Content-Type", "image/png"),
            ("Content-Disposition", "session; Handling=\"optional\""),
        ],
    ] {
        assert_eq!(read(&headers, "hello"), Ok(None));
    }
}

#[test]
fn a_broken_description_gets_400_with_its_fault() {
    let failure = read(&[("Content-Type", "application/sdp")], "x\r\n").expect_err("400");
    assert_eq!(failure.status.code(), 400);
    assert!(failure.reason.is_some_and(|reason| reason.starts_with(b"SDP")));
}

#[test]
fn a_description_is_known_by_its_type_wherever_it_hides() {
    let judge = |content_type: Option<&str>, body: &str| {
        let mut headers = Headers::default();
        if let Some(value) = content_type {
            headers.push("Content-Type", value);
        }
        describes_session(&headers, body.as_bytes())
    };
    let mixed = format!("--b\r\nContent-Type: Application/SDP\r\n\r\n{SDP}\r\n--b--\r\n");
    assert!(judge(Some("application/sdp"), SDP));
    assert!(judge(Some("APPLICATION/SDP ;charset=utf-8"), SDP));
    assert!(judge(Some("multipart/mixed;boundary=b"), &mixed));
    assert!(judge(None, SDP));
    assert!(!judge(Some("text/plain"), "application/sdp is what it is called"));
    assert!(!judge(
        Some("multipart/mixed;boundary=b"),
        "--b\r\n\r\nhello\r\n--b--\r\n"
    ));
    assert!(!judge(None, "Signal=5"));
    assert!(!judge(None, ""));
}
