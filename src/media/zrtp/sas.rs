//! The Short Authentication String as people read it (RFC 6189 §5.1.6).

use super::algorithm::SasType;
use super::words::{EVEN, ODD};

impl SasType {
    /// The text of a sasvalue.
    pub(super) fn render(self, value: [u8; 4]) -> String {
        match self {
            Self::B32 => base32(value),
            Self::B256 => {
                let [first, second, ..] = value.map(usize::from);
                format!("{}:{}", EVEN[first], ODD[second])
            }
        }
    }
}

/// The leftmost 20 bits, five for each letter: an alphabet in which no letter is mistaken for another.
fn base32(value: [u8; 4]) -> String {
    const ALPHABET: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";
    let bits = u32::from_be_bytes(value);
    (0..4)
        .map(|letter| char::from(ALPHABET[(bits >> (27 - 5 * letter)) as usize & 31]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_32_is_that_of_the_draft() {
        // From draft-zimmermann-avt-zrtp and the base32 it points to: 20 bits.
        for (value, text) in [
            ([0x00, 0x00, 0x00, 0x00], "yyyy"),
            ([0x80, 0x00, 0x00, 0x00], "oyyy"),
            ([0x40, 0x00, 0x00, 0x00], "eyyy"),
            ([0xc0, 0x00, 0x00, 0x00], "ayyy"),
            ([0xf0, 0xbf, 0xc7, 0x00], "6n9h"),
            ([0xd4, 0x7a, 0x04, 0x00], "4t7y"),
            ([0xff, 0xff, 0xff, 0xff], "9999"),
            ([0x00, 0x00, 0x0f, 0xff], "yyyy"),
        ] {
            assert_eq!(SasType::B32.render(value), text, "{value:02x?}");
        }
    }

    #[test]
    fn base_256_takes_a_two_and_a_three_syllable_word() {
        for (value, text) in [
            ([0x00, 0x00, 1, 2], "aardvark:adroitness"),
            ([0xff, 0xff, 1, 2], "Zulu:Yucatan"),
            ([0xe5, 0x82, 1, 2], "topmost:Istanbul"),
            ([0x94, 0xf2, 1, 2], "Pluto:vagabond"),
        ] {
            assert_eq!(SasType::B256.render(value), text, "{value:02x?}");
        }
    }
}
