//! Direction of a stream (RFC 3264 §5.1, §6.1, RFC 8866 §6.7).

use super::{Media, Sdp, model::Line};

/// Which way media goes, as the one who writes it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `a=sendrecv`
    SendRecv,
    /// `a=sendonly`
    SendOnly,
    /// `a=recvonly`
    RecvOnly,
    /// `a=inactive`
    Inactive,
}

impl Direction {
    const ALL: [Self; 4] = [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive];

    /// From its two halves.
    pub const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }
    /// Whether its writer sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }
    /// Whether its writer receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
    /// The same seen from the other end.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }
    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self::of(self.sends() && other.sends(), self.receives() && other.receives())
    }
    /// The attribute's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
    /// Whether a line is a direction attribute, and which.
    pub fn of_line(line: &Line) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|direction| line.is_attribute(direction.name()))
    }
}

impl Sdp {
    /// The direction that the writer of this description means: the media's attribute, else the session's, else
    /// `sendrecv`; and `c=0.0.0.0` takes receiving away (RFC 3264 §8.4).
    pub fn direction(&self, media: &Media) -> Direction {
        let written = |lines: &[Line]| lines.iter().find_map(Direction::of_line);
        let direction = written(&media.lines)
            .or_else(|| written(&self.lines))
            .unwrap_or(Direction::SendRecv);
        if self.is_black_hole(media) {
            direction.and(Direction::SendOnly)
        } else {
            direction
        }
    }
    /// The same, as if its writer held nobody: each stream that is not refused is `sendrecv`.
    #[must_use]
    pub fn resumed(&self) -> Self {
        let resume = |lines: &[Line], held: bool| -> Vec<Line> {
            let lines = lines.iter().filter(|line| Direction::of_line(line).is_none());
            lines
                .map(|line| match line.kind {
                    // Anywhere: where the writer is, crosses to nobody.
                    b'c' if held => Line::new(b'c', "IN IP4 127.0.0.1"),
                    _ => line.clone(),
                })
                .collect()
        };
        let held = self.media.iter().any(|media| self.is_black_hole(media));
        Self {
            lines: resume(&self.lines, held),
            media: self
                .media
                .iter()
                .map(|media| Media {
                    lines: resume(&media.lines, held),
                    ..media.clone()
                })
                .collect(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::*;

    fn direction(session: &str, media: &str) -> Direction {
        let body = format!("v=0\no=- 1 1 IN IP4 192.0.2.1\n{session}m=audio 4000 RTP/AVP 0\n{media}");
        let sdp = Sdp::parse(body.as_bytes()).unwrap();
        sdp.direction(&sdp.media[0])
    }

    #[test]
    fn the_medias_own_attribute_wins_over_the_sessions_and_none_means_sendrecv() {
        assert_eq!(direction("c=IN IP4 192.0.2.1\n", ""), SendRecv);
        assert_eq!(direction("c=IN IP4 192.0.2.1\na=inactive\n", ""), Inactive);
        assert_eq!(
            direction("c=IN IP4 192.0.2.1\na=inactive\n", "a=recvonly\n"),
            RecvOnly
        );
        assert_eq!(direction("c=IN IP4 192.0.2.1\n", "a=SendOnly\n"), SendOnly);
    }
    #[test]
    fn a_black_hole_address_takes_receiving_away() {
        assert_eq!(direction("c=IN IP4 0.0.0.0\n", ""), SendOnly);
        assert_eq!(
            direction("c=IN IP4 192.0.2.1\n", "c=IN IP4 0.0.0.0\na=recvonly\n"),
            Inactive
        );
        assert_eq!(direction("c=IN IP4 0.0.0.0\n", "c=IN IP4 192.0.2.1\n"), SendRecv);
        assert_eq!(direction("c=IN IP6 ::\n", ""), SendOnly);
        assert_eq!(direction("c=IN IP6 hold.invalid\n", ""), SendOnly);
    }
    #[test]
    fn who_resumes_holds_nobody() {
        for (session, media) in [
            ("c=IN IP4 192.0.2.1\n", "a=sendonly\na=ptime:20\n"),
            ("c=IN IP4 192.0.2.1\na=inactive\n", "a=ptime:20\n"),
            ("c=IN IP4 0.0.0.0\n", "a=ptime:20\n"),
            (
                "c=IN IP4 192.0.2.1\n",
                "c=IN IP4 0.0.0.0\na=recvonly\na=ptime:20\n",
            ),
        ] {
            let body = format!("v=0\no=- 1 1 IN IP4 192.0.2.1\n{session}m=audio 4000 RTP/AVP 0\n{media}");
            let sdp = Sdp::parse(body.as_bytes()).unwrap().resumed();
            assert_eq!(sdp.direction(&sdp.media[0]), SendRecv, "{body}");
            assert!(sdp.media[0].attribute("ptime").is_some());
        }
    }
    #[test]
    fn the_other_end_sees_it_reversed() {
        assert_eq!(
            Direction::ALL.map(Direction::reversed),
            [SendRecv, RecvOnly, SendOnly, Inactive]
        );
    }
}
