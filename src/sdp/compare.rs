//! "The same but for the version": how a session refresh is told from a change (RFC 3264 §8, RFC 4028 §7.4).

use super::Sdp;

/// Whether two descriptions of one party say the same: every line equal but for the version in `o=`.
///
/// An equal version with different lines is a change too: clients forget to count.
pub fn same_session(one: &Sdp, other: &Sdp) -> bool {
    one.origin.same_session(&other.origin) && one.lines == other.lines && one.media == other.media
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_may_differ() {
        let sdp = |text: &str| Sdp::parse(text.as_bytes()).unwrap();
        let base = sdp("v=0\no=a 1 1 IN IP4 h\ns=-\nm=audio 4 RTP/AVP 0\na=sendrecv\n");
        for (other, same) in [
            (
                "v=0\no=a 1 2 IN IP4 h\ns=-\nm=audio 4 RTP/AVP 0\na=sendrecv\n",
                true,
            ),
            (
                "v=0\no=a 2 1 IN IP4 h\ns=-\nm=audio 4 RTP/AVP 0\na=sendrecv\n",
                false,
            ),
            (
                "v=0\no=a 1 1 IN IP4 h\ns=-\nm=audio 4 RTP/AVP 0\na=sendonly\n",
                false,
            ),
            (
                "v=0\no=a 1 1 IN IP4 h\ns=-\nm=audio 6 RTP/AVP 0\na=sendrecv\n",
                false,
            ),
        ] {
            assert_eq!(same_session(&base, &sdp(other)), same, "{other}");
        }
    }
}
