//! The cases: which part of an INVITE is replaced, and by what.

/// One message.
pub(crate) struct Case {
    part: usize,
    nonsense: Vec<u8>,
}

/// An INVITE in parts; each line's second half is what a case replaces. `%W` is the word of the transport, `%I` a fresh word.
const PARTS: &[(&str, &str)] = &[
    ("", "INVITE"),
    (" ", "sip:bob@example.org"),
    (" ", "SIP/2.0"),
    ("\r\nVia: ", "SIP/2.0/%W 127.0.0.1:5099;branch=z9hG4bK%I;rport"),
    ("\r\nVia: SIP/2.0/%W ", "host.example.org:5060"),
    (";branch=", "z9hG4bK-second"),
    (";received=", "192.0.2.1"),
    (";rport=", "5060"),
    ("\r\nMax-Forwards: ", "70"),
    ("\r\nFrom: ", "\"Alice\" <sip:alice@example.org>;tag=%I"),
    ("\r\nTo: ", "<sip:bob@example.org>"),
    ("\r\nCall-ID: ", "%I@host"),
    ("\r\nCSeq: ", "1 INVITE"),
    (
        "\r\nContact: ",
        "\"A\" <sip:alice@127.0.0.1:5099;transport=udp>;expires=60;q=0.5",
    ),
    ("\r\nRecord-Route: ", "<sip:127.0.0.1:5099;lr>"),
    ("\r\nRoute: ", "<sip:127.0.0.1:5098;lr>"),
    ("\r\nSupported: ", "timer, 100rel"),
    ("\r\nRequire: ", ""),
    ("\r\nSession-Expires: ", "1800;refresher=uac"),
    ("\r\nMin-SE: ", "90"),
    ("\r\nAllow: ", "INVITE, ACK, BYE"),
    ("\r\nReplaces: ", "abc@host;to-tag=1;from-tag=2"),
    ("\r\nReason: ", "SIP;cause=200;text=\"x\""),
    ("\r\nAccept: ", "application/sdp"),
    (
        "\r\nAuthorization: ",
        "Digest username=\"a\",realm=\"b\",nonce=\"c\",uri=\"sip:x\",response=\"d\"",
    ),
    ("\r\nP-Asserted-Identity: ", "\"A\" <sip:alice@example.org>"),
    ("\r\n", "X-Unknown: value"),
    ("\r\nContent-Type: ", "application/sdp"),
    ("\r\nContent-Length: ", "%L"),
    ("\r\n\r\n", "v=0"),
    ("\r\no=", "- 1 1 IN IP4 127.0.0.1"),
    ("\r\ns=", "-"),
    ("\r\nc=", "IN IP4 127.0.0.1"),
    ("\r\nt=", "0 0"),
    ("\r\nm=", "audio 40000 RTP/AVP 0 101"),
    ("\r\na=rtpmap:", "101 telephone-event/8000"),
    (
        "\r\na=crypto:",
        "1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw",
    ),
    (
        "\r\na=fingerprint:",
        "sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
    ),
    ("\r\na=candidate:", "1 1 UDP 2130706431 127.0.0.1 40000 typ host"),
    ("\r\na=", "sendrecv"),
    ("\r\n", ""),
];

/// What PROTOS calls anomalies, by kind, each for any place.
fn nonsense() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut add = |bytes: &[u8]| all.push(bytes.to_vec());
    // Nothing, and what looks like nothing.
    for bytes in [
        &b""[..],
        b" ",
        b"\t",
        b"\r",
        b"\n",
        b"\0",
        b"\r\n ",
        b"\r\n\t x",
        b"\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
    ] {
        add(bytes);
    }
    // Too much of one.
    for unit in [
        "a",
        " ",
        "\t",
        "0",
        "9",
        ";",
        ",",
        ":",
        "@",
        "<",
        ">",
        "\"",
        "(",
        ")",
        "[",
        "]",
        "%",
        "\\",
        "=",
        "/",
        "?",
        "&",
        "\u{e9}",
        "\0",
        "%00",
        "\r\n ",
        "a=b;",
        "<sip:a@b>,",
        "\\\"",
        "()",
    ] {
        for times in [3, 130, 1_025, 8_200 / unit.len()] {
            add(unit.repeat(times).as_bytes());
        }
    }
    // Numbers at and beyond their ends.
    for number in [
        "-1",
        "0",
        "00000000000000000001",
        "127",
        "128",
        "255",
        "256",
        "65535",
        "65536",
        "2147483647",
        "2147483648",
        "-2147483648",
        "4294967295",
        "4294967296",
        "9223372036854775808",
        "18446744073709551616",
        "1e9",
        "0x7f",
        "+1",
        "1.5",
        "NaN",
        "1 1",
        "99999999999999999999999999999999999999",
    ] {
        add(number.as_bytes());
    }
    // Formats of another language, paths, markup.
    for text in [
        "%s%s%s%s%n",
        "%.1024d",
        "%x%x%x",
        "../../../../etc/passwd",
        "$(reboot)",
        "' OR 1=1 --",
        "<!--",
        "</x>",
        "{{7*7}}",
        "\\x00\\xff",
    ] {
        add(text.as_bytes());
    }
    // Not of this alphabet.
    for bytes in [
        &b"\xff"[..],
        b"\xfe\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xef\xbb\xbf",
        b"\x80\x81\x82",
        b"\x7f",
        b"\x01\x02\x03",
        b"a\0b",
        b"\xe2\x80\xae",
    ] {
        add(bytes);
    }
    // URIs, addresses and hosts that are nearly right.
    for text in [
        "sip:",
        "sip:@",
        "sip:a@",
        "sip::@b",
        "sip:a@b:",
        "sip:a@b:99999",
        "sip:a@b:-1",
        "sip:a@[",
        "sip:a@[::",
        "sip:a@[::1",
        "sip:a@[:::1]",
        "sip:a@[1:2:3:4:5:6:7:8:9]",
        "sip:a@[::ffff:999.1.1.1]",
        "sip:a@256.256.256.256",
        "sip:a@b;;",
        "sip:a@b;=",
        "sip:a@b;transport",
        "sip:a@b;transport=",
        "sip:a@b;lr;lr;lr",
        "sip:a@b?",
        "sip:a@b?=",
        "sip:a@b?Route=%0d%0aX",
        "sip:a@b?a=b&&&",
        "sip:%",
        "sip:%4",
        "sip:%zz@b",
        "sips:a@b",
        "tel:",
        "tel:+",
        "tel:abc",
        "http://x/",
        "urn:uuid:",
        ":",
        "::",
        "SIP:A@B",
        "<sip:a@b",
        "sip:a@b>",
        "<<sip:a@b>>",
        "\"x <sip:a@b>",
        "\"\\\" <sip:a@b>",
        "<sip:a@b>;tag",
        "<sip:a@b>;tag=;tag=",
        "*",
        "<*>",
        "a <b> c <d>",
        "sip:a@b,sip:c@d,",
        ",,,,",
        "z9hG4bK",
        "z9hG4bK;;",
        "1 ACK",
        "INVITE 1",
        "1",
        "1 2 3 INVITE",
        "SIP/2.0",
        "SIP/3.0",
        "SIP/2.0/UDP",
        "SIP / 2.0 / UDP x",
        "sip/2.0/udp x;branch",
        "SIP/2.0/%W x:0;branch=z9hG4bKx",
        "inline:",
        "1 X inline:!!!!",
        "audio 0 RTP/AVP",
        "audio 70000 RTP/AVP 0",
        "audio 1/65535 RTP/AVP 0",
        "IN IP4",
        "IN IP6 ::",
        "IN IP4 224.2.1.1/127/3",
        "- 1 1",
        "Digest",
        "Digest =,=,=",
        "Digest nonce=\"",
        "1800;refresher=",
        "1800;refresher=nobody",
        "x;cause=",
        "x;to-tag=;from-tag=",
    ] {
        add(text.as_bytes());
    }
    all
}

/// Every part with every kind.
pub(crate) fn all() -> Vec<Case> {
    let nonsense = nonsense();
    (0..PARTS.len())
        .flat_map(|part| {
            nonsense.iter().map(move |nonsense| Case {
                part,
                nonsense: nonsense.clone(),
            })
        })
        .collect()
}

impl Case {
    /// The message, with a body length that is right unless it is what is wrong.
    pub(crate) fn bytes(&self, word: &str, id: &str) -> Vec<u8> {
        let body = PARTS.iter().position(|(_, part)| *part == "v=0").expect("a body");
        let (mut head, mut content) = (Vec::new(), Vec::new());
        for (at, (before, part)) in PARTS.iter().enumerate() {
            let out = if at < body { &mut head } else { &mut content };
            out.extend_from_slice(before.as_bytes());
            if at == self.part {
                out.extend_from_slice(&self.nonsense);
            } else {
                out.extend_from_slice(part.replace("%W", word).replace("%I", id).as_bytes());
            }
        }
        // The empty line belongs to the head.
        let length = (content.len() - 4).to_string();
        let mark = head.windows(2).position(|two| two == b"%L");
        if let Some(mark) = mark {
            head.splice(mark..mark + 2, length.into_bytes());
        }
        head.extend(content);
        head
    }
}
