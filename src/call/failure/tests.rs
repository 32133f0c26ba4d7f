use super::*;

/// One row per kind: label, code, `Reason`.
#[test]
fn each_kind_has_its_label_code_and_reason() {
    let rows: [(Kind, &str, u16, Option<&str>); 15] = [
        (
            Kind::Rejected,
            "rejected",
            603,
            Some("Q.850;cause=21;text=\"Call rejected\""),
        ),
        (Kind::Cancelled, "cancelled", 487, None),
        (
            Kind::NoAnswer,
            "no_answer",
            480,
            Some("Q.850;cause=19;text=\"No answer from user\""),
        ),
        (
            Kind::Timeout,
            "timeout",
            408,
            Some("Q.850;cause=102;text=\"Recovery on timer expiry\""),
        ),
        (
            Kind::Unreachable,
            "unreachable",
            503,
            Some("Q.850;cause=38;text=\"Network out of order\""),
        ),
        (
            Kind::NotAcceptable,
            "not_acceptable",
            488,
            Some("Q.850;cause=88;text=\"Incompatible destination\""),
        ),
        (
            Kind::Protocol,
            "protocol",
            400,
            Some("Q.850;cause=111;text=\"Protocol error\""),
        ),
        (
            Kind::Loop,
            "loop",
            482,
            Some("Q.850;cause=25;text=\"Exchange routing error\""),
        ),
        (
            Kind::Capacity,
            "capacity",
            503,
            Some("Q.850;cause=42;text=\"Switching equipment congestion\""),
        ),
        (
            Kind::MediaLost,
            "media_lost",
            503,
            Some("SIP;cause=503;text=\"Media lost\""),
        ),
        (
            Kind::MaxDuration,
            "max_duration",
            480,
            Some("Q.850;cause=102;text=\"Maximum call duration reached\""),
        ),
        (
            Kind::NoAck,
            "no_ack",
            408,
            Some("SIP;cause=408;text=\"no ACK received\""),
        ),
        (
            Kind::Declined,
            "declined",
            603,
            Some("Q.850;cause=21;text=\"Call rejected\""),
        ),
        (
            Kind::Shutdown,
            "shutdown",
            503,
            Some("Q.850;cause=41;text=\"Temporary failure\""),
        ),
        (
            Kind::Internal,
            "internal",
            500,
            Some("Q.850;cause=41;text=\"Temporary failure\""),
        ),
    ];
    assert_eq!(rows.map(|row| row.0), Kind::ALL, "one row per kind, in order");
    for (kind, label, code, reason) in rows {
        let failure = Failure::of(kind, Origin::Local);
        assert_eq!(kind.label(), label);
        assert_eq!(failure.status.code(), code, "{label}");
        assert_eq!(
            failure.reasons(),
            reason.map(Text::from).into_iter().collect::<Vec<_>>(),
            "{label}"
        );
    }
}

#[test]
fn a_challenge_that_nobody_could_answer_is_a_refusal_for_the_caller() {
    for status in [Status::UNAUTHORIZED, Status::PROXY_AUTHENTICATION_REQUIRED] {
        let told = Failure::new(status, Origin::LegB, Kind::Rejected).for_caller();
        assert_eq!((told.status, told.reason.as_ref()), (Status::FORBIDDEN, None));
        let reasons: Vec<String> = told
            .headers
            .all("Reason")
            .map(|reason| reason.to_string())
            .collect();
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert!(
            reasons[0].starts_with(&format!("SIP;cause={};", status.code())),
            "{reasons:?}"
        );
        assert!(reasons[1].starts_with("Q.850;cause=21;"), "{reasons:?}");
        // An application that says so means it.
        let own = Failure::new(status, Origin::App, Kind::Declined);
        assert_eq!(own.clone().for_caller(), own);
    }
    let busy = Failure::new(Status::BUSY_HERE, Origin::LegB, Kind::Rejected);
    assert_eq!(busy.clone().for_caller(), busy);
}

#[test]
fn codes_have_the_q850_cause_of_rfc_3398() {
    for (code, cause) in [
        (400, 41),
        (401, 21),
        (402, 21),
        (403, 21),
        (404, 1),
        (405, 63),
        (406, 79),
        (407, 21),
        (408, 102),
        (410, 22),
        (413, 127),
        (414, 127),
        (415, 79),
        (416, 127),
        (420, 127),
        (421, 127),
        (423, 127),
        (480, 18),
        (481, 41),
        (482, 25),
        (483, 25),
        (484, 28),
        (485, 1),
        (486, 17),
        (500, 41),
        (501, 79),
        (502, 38),
        (503, 41),
        (504, 102),
        (505, 127),
        (513, 127),
        (600, 17),
        (603, 21),
        (604, 1),
    ] {
        let value = q850(Status::new(code).expect("a code")).expect("a cause");
        assert!(
            value.to_str().starts_with(&format!("Q.850;cause={cause};")),
            "{code}: {value}"
        );
    }
    assert_eq!(q850(Status::REQUEST_TERMINATED), None);
}

#[test]
fn what_crosses_from_a_response_is_kept_and_goes_before_the_table() {
    let mut response = Response {
        status: Status::BUSY_HERE,
        reason: "Busy Here".into(),
        headers: Headers::default(),
        body: bytes::Bytes::new(),
    };
    for (name, value) in [
        ("Retry-After", "18"),
        ("Warning", "399 x \"y\""),
        ("Reason", "SIP;cause=486"),
        ("Contact", "<sip:elsewhere>"),
        ("Server", "x"),
    ] {
        response.headers.push(name, value);
    }
    let failure = Failure::of_response(&response, Origin::LegB);
    assert_eq!(failure.reason, None, "the code's own phrase is not carried");
    let names: Vec<String> = failure
        .headers
        .iter()
        .map(|(name, _)| name.as_text().to_string())
        .collect();
    assert_eq!(names, ["Retry-After", "Warning", "Reason"]);
    assert_eq!(failure.reasons(), ["SIP;cause=486"]);

    response.status = Status::MOVED_TEMPORARILY;
    response.reason = "Gone fishing".into();
    let moved = Failure::of_response(&response, Origin::LegB);
    assert!(moved.headers.contains("Contact"));
    assert_eq!(moved.reason, Some("Gone fishing".into()));
}

#[test]
fn a_cause_says_what_crossed_or_what_the_table_says_or_nothing() {
    assert!(Cause::bye(Origin::LegA).reason_values().is_empty());
    assert_eq!(
        Cause::of(Kind::MediaLost, Origin::Local).reason_values(),
        ["SIP;cause=503;text=\"Media lost\""]
    );
    let crossed = Cause {
        reasons: vec!["SIP;cause=200;text=\"Call completed elsewhere\"".into()],
        ..Cause::of(Kind::Cancelled, Origin::LegA)
    };
    assert_eq!(
        crossed.reason_values(),
        ["SIP;cause=200;text=\"Call completed elsewhere\""]
    );
    assert_eq!(crossed.to_failure().status, Status::REQUEST_TERMINATED);
    assert_eq!(crossed.to_failure().reasons(), crossed.reasons);
}
