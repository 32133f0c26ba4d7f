//! The RFCs' test vectors.

use super::*;

fn octets(text: &str) -> Vec<u8> {
    hex::decode(text.replace(char::is_whitespace, "")).unwrap()
}

/// Keystream from counter block `f0f1…fd0000`.
fn keystream(key: &str) -> String {
    let mut salt = [0; 16];
    salt.copy_from_slice(&octets("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000"));
    let mode = CounterMode::new(Cipher::new(&octets(key)), salt, &[0; 20], 10);
    let mut stream = vec![0; 48];
    mode.apply(0, 0, &mut stream);
    hex::encode(stream)
}

#[test]
fn rfc_3711_b_2_keystream() {
    assert_eq!(
        keystream("2b7e151628aed2a6abf7158809cf4f3c"),
        "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0"
    );
}

#[test]
fn rfc_6188_7_1_keystream() {
    assert_eq!(
        keystream("57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98"),
        "92bdd28a93c3f52511c677d08b5515a49da71b2378a854f67050756ded165bac63c4868b7096d88421b563b8c94c9a31"
    );
}

/// Session encryption key, authentication key and salt of RTP.
fn derived(suite: Suite, key: &str, salt: &str) -> [String; 3] {
    let master = Master::new(suite, &[octets(key), octets(salt)].concat());
    let derive = |label, length| {
        let mut key = vec![0; length];
        master.derive(label, &mut key);
        hex::encode(key)
    };
    [derive(0, suite.key_length()), derive(1, 20), derive(2, 14)]
}

#[test]
fn rfc_3711_b_3_key_derivation() {
    assert_eq!(
        derived(
            Suite::AesCm128HmacSha1_80,
            "e1f97a0d3e018be0d64fa32c06de4139",
            "0ec675ad498afeebb6960b3aabe6"
        ),
        [
            "c61e7a93744f39ee10734afe3ff7a087",
            "cebe321f6ff7716b6fd4ab49af256a156d38baa4",
            "30cbbc08863d8c85d49db34a9ae1"
        ]
    );
}

#[test]
fn rfc_6188_7_3_key_derivation() {
    assert_eq!(
        derived(
            Suite::AesCm256HmacSha1_80,
            "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
            "3b04803de51ee7c96423ab5b78d2"
        ),
        [
            "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
            "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
            "fa31791685ca444a9e07c6c64e93"
        ]
    );
}

/// RFC 7714 §16 and §17 give session keys, the same for RTP and RTCP.
fn galois(key: &str) -> Transform {
    let mode = || {
        let mut salt = [0; 12];
        salt.copy_from_slice(&octets("51756964 2070726f 2071756f"));
        Box::new(Galois::new(&octets(key), salt))
    };
    Transform {
        keys: Keys::Galois {
            rtp: mode(),
            rtcp: mode(),
        },
        mki: Box::default(),
    }
}

const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn rfc_7714_16_rtp() {
    let plain = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
         69736120 696e2070 61727465 73207472 6573";
    let rows = [
        (
            KEY_128,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
             0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            KEY_256,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238
             9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ];
    for (key, sealed) in rows {
        let transform = galois(key);
        let mut packet = Packet::new();
        packet.fill(&octets(plain));
        let header = crate::media::packet::rtp_header(packet.bytes()).unwrap();
        assert!(transform.seal_rtp(&mut packet, &header, 0xf17b));
        assert_eq!(hex::encode(packet.bytes()), hex::encode(octets(sealed)));
        let length = transform.open_rtp(&mut packet, &header, 0xf17b).unwrap();
        assert_eq!(packet.bytes()[..length], octets(plain));
    }
}

#[test]
fn rfc_7714_17_rtcp() {
    let plain = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
         deadbeef deadbeef deadbeef deadbeef deadbeef";
    let rows = [
        (
            KEY_128,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
             c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872
             45d9eade 800005d4",
        ),
        (
            KEY_256,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50
             a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c
             b26ac3be 800005d4",
        ),
    ];
    for (key, sealed) in rows {
        let transform = galois(key);
        let mut packet = Packet::new();
        packet.fill(&octets(plain));
        assert!(transform.seal_rtcp(&mut packet, 0x4d61_7273, 0x5d4));
        assert_eq!(hex::encode(packet.bytes()), hex::encode(octets(sealed)));
        assert_eq!(transform.rtcp_index(packet.bytes()), Some((0x5d4, true)));
        let length = transform.open_rtcp(&mut packet, 0x4d61_7273, 0x5d4).unwrap();
        assert_eq!(packet.bytes()[..length], octets(plain));
    }
}
