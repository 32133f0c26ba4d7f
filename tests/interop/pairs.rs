//! Every encryption of one leg meets every encryption of the other, through the server, in one table.
//!
//! Where the wire does not show the keys (DTLS-SRTP, ZRTP), the ear judges the sound, and the wire that nothing on it can be
//! understood and that nothing of it was lost between the legs.

use std::time::Duration;

use crate::Test;
use crate::phone::{Keys, Make};
use crate::through::{Call, talks};

/// Its name, who calls whom, and how each is keyed.
macro_rules! pairs {
    ($($name:literal: $a:ident $a_keys:ident => $b:ident $b_keys:ident),* $(,)?) => {
        &[$(Test {
            name: $name,
            body: |scene| {
                let call = Call::new(scene, Make::$a, Make::$b).keyed(Keys::$a_keys, Keys::$b_keys);
                talks(scene, call)
            },
            limit: Duration::from_secs(180),
        }),*]
    };
}

pub(crate) const TESTS: &[Test] = pairs! {
    "pair::linphone_none_to_linphone_none": Linphone None => Linphone None,
    "pair::linphone_none_to_linphone_sdes": Linphone None => Linphone Sdes,
    "pair::linphone_none_to_linphone_dtls": Linphone None => Linphone Dtls,
    "pair::linphone_sdes_to_linphone_none": Linphone Sdes => Linphone None,
    "pair::linphone_sdes_to_linphone_sdes": Linphone Sdes => Linphone Sdes,
    "pair::linphone_sdes_to_linphone_dtls": Linphone Sdes => Linphone Dtls,
    "pair::linphone_dtls_to_linphone_none": Linphone Dtls => Linphone None,
    "pair::linphone_dtls_to_linphone_sdes": Linphone Dtls => Linphone Sdes,
    "pair::linphone_dtls_to_linphone_dtls": Linphone Dtls => Linphone Dtls,
    "pair::linphone_none_to_linphone_zrtp": Linphone None => Linphone Zrtp,
    "pair::linphone_sdes_to_linphone_zrtp": Linphone Sdes => Linphone Zrtp,
    "pair::linphone_dtls_to_linphone_zrtp": Linphone Dtls => Linphone Zrtp,
    "pair::linphone_zrtp_to_linphone_none": Linphone Zrtp => Linphone None,
    "pair::linphone_zrtp_to_linphone_sdes": Linphone Zrtp => Linphone Sdes,
    "pair::linphone_zrtp_to_linphone_dtls": Linphone Zrtp => Linphone Dtls,
    "pair::linphone_zrtp_to_linphone_zrtp": Linphone Zrtp => Linphone Zrtp,
    "pair::linphone_none_to_baresip_none": Linphone None => Baresip None,
    "pair::linphone_none_to_baresip_sdes": Linphone None => Baresip Sdes,
    "pair::linphone_none_to_baresip_dtls": Linphone None => Baresip Dtls,
    "pair::linphone_sdes_to_baresip_none": Linphone Sdes => Baresip None,
    "pair::linphone_sdes_to_baresip_sdes": Linphone Sdes => Baresip Sdes,
    "pair::linphone_sdes_to_baresip_dtls": Linphone Sdes => Baresip Dtls,
    "pair::linphone_dtls_to_baresip_none": Linphone Dtls => Baresip None,
    "pair::linphone_dtls_to_baresip_sdes": Linphone Dtls => Baresip Sdes,
    "pair::linphone_dtls_to_baresip_dtls": Linphone Dtls => Baresip Dtls,
    "pair::baresip_none_to_linphone_none": Baresip None => Linphone None,
    "pair::baresip_none_to_linphone_sdes": Baresip None => Linphone Sdes,
    "pair::baresip_none_to_linphone_dtls": Baresip None => Linphone Dtls,
    "pair::baresip_sdes_to_linphone_none": Baresip Sdes => Linphone None,
    "pair::baresip_sdes_to_linphone_sdes": Baresip Sdes => Linphone Sdes,
    "pair::baresip_sdes_to_linphone_dtls": Baresip Sdes => Linphone Dtls,
    "pair::baresip_dtls_to_linphone_none": Baresip Dtls => Linphone None,
    "pair::baresip_dtls_to_linphone_sdes": Baresip Dtls => Linphone Sdes,
    "pair::baresip_dtls_to_linphone_dtls": Baresip Dtls => Linphone Dtls,
};
