//! The string by which users notice somebody in the middle (RFC 6189 §7): what a phone shows, held against what the server's
//! log says of that leg.

use crate::phone::stream::Heard;

/// What one phone of a call shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Whose phone.
    pub(super) name: &'static str,
    /// The leg, as the log names it.
    pub(super) leg: char,
    /// Its string; none if it has no keys by ZRTP.
    pub(super) sas: Option<String>,
}

impl Shown {
    pub(super) fn of(name: &'static str, leg: char, heard: &Heard) -> Self {
        Self {
            name,
            leg,
            sas: heard.sas.clone(),
        }
    }

    /// Prints both strings; gives what is wrong with them. `log`: what the server has said during the call.
    pub(super) fn compare(&self, log: &str) -> Option<String> {
        let (name, leg) = (self.name, self.leg);
        let said = said(log, leg);
        let word = |sas: Option<&str>| sas.unwrap_or("nothing").to_owned();
        let (shown, said) = (word(self.sas.as_deref()), word(said));
        let same = self.sas.is_some() && shown == said;
        println!(
            "  ZRTP  {name}'s phone shows {shown}, the server says {said} of leg {leg}: {}",
            if same { "the same" } else { "NOT the same" }
        );
        (!same).then(|| format!("{name}'s phone shows {shown} and the server says {said} of leg {leg}"))
    }
}

/// The string of a leg in the server's log: `… keyed leg=A encryption=zrtp sas="abcd" …`. The last one counts.
fn said(log: &str, leg: char) -> Option<&str> {
    let of_leg = format!("leg={leg} ");
    let line = log
        .lines()
        .rfind(|line| line.contains(" keyed ") && line.contains(&of_leg))?;
    let (_, after) = line.split_once("sas=\"")?;
    after.split_once('"').map(|(sas, _)| sas)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
        2026-01-01T00:00:00Z  INFO call{number=1}: b2bua: calling target=\"sip:bob@a\"\n\
        2026-01-01T00:00:00Z  INFO call{number=1}: b2bua: keyed leg=A encryption=zrtp sas=\"wxyz\" verified=false\n\
        2026-01-01T00:00:00Z  INFO call{number=1}: b2bua: keyed leg=B encryption=zrtp sas=\"abcd\" verified=false\n";

    fn shown(leg: char, sas: Option<&str>) -> Shown {
        Shown {
            name: "Erin",
            leg,
            sas: sas.map(str::to_owned),
        }
    }

    #[test]
    fn the_string_of_each_leg_is_found() {
        assert_eq!(said(LOG, 'A'), Some("wxyz"));
        assert_eq!(said(LOG, 'B'), Some("abcd"));
        assert_eq!(said("nothing of the kind", 'A'), None);
    }

    #[test]
    fn only_the_same_string_on_the_same_leg_is_no_problem() {
        assert_eq!(shown('A', Some("wxyz")).compare(LOG), None);
        for wrong in [
            shown('A', Some("abcd")),
            shown('B', Some("wxyz")),
            shown('A', None),
        ] {
            assert!(wrong.compare(LOG).is_some(), "{wrong:?}");
        }
        assert!(shown('A', Some("wxyz")).compare("").is_some());
        assert!(shown('A', None).compare("").is_some());
    }
}
