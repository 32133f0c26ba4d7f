//! A certificate authority for one test: it vouches for the server and for both phones.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

use crate::Outcome;
use crate::netns::{HUB, Side};
use crate::scene::Scene;

/// Where its files are: `ca.pem`, and of `server`, `phone-a` and `phone-b` a `.pem` with certificate and key and a `.key`.
pub(crate) struct Authority {
    pub(crate) folder: PathBuf,
    /// The secret numbers of all keys.
    pub(crate) keys: Vec<Vec<u8>>,
}

/// Where the secret number is in a P-256 key as PKCS #8 has it.
const SECRET: std::ops::Range<usize> = 36..68;

impl Authority {
    /// Makes it and all that it issues.
    pub(crate) fn new(scene: &Scene) -> Outcome<Self> {
        let folder = scene.dir.join("authority");
        let told = |e: &dyn std::fmt::Display| format!("{}: {e}", folder.display());
        fs::create_dir_all(&folder).map_err(|e| told(&e))?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of a test");
        let key = KeyPair::generate().map_err(|e| told(&e))?;
        let own = params.self_signed(&key).map_err(|e| told(&e))?;
        fs::write(folder.join("ca.pem"), own.pem()).map_err(|e| told(&e))?;
        let mut keys = Vec::new();
        for (name, hosts) in [
            ("server", vec![HUB.to_owned(), Side::B.hub().to_string()]),
            ("phone-a", vec!["alice.example.org".to_owned()]),
            ("phone-b", vec![Side::B.phone().to_string()]),
        ] {
            let issued = KeyPair::generate().map_err(|e| told(&e))?;
            let mut params = CertificateParams::new(hosts.clone()).map_err(|e| told(&e))?;
            params
                .distinguished_name
                .push(DnType::CommonName, hosts[0].clone());
            let certificate = params.signed_by(&issued, &own, &key).map_err(|e| told(&e))?;
            let private = issued.serialize_pem();
            // What follows the secret number is the public one, which a certificate shows to everybody (RFC 5915, RFC 5958).
            let number = issued
                .serialized_der()
                .get(SECRET)
                .ok_or("a key of another form")?;
            keys.push(number.to_vec());
            fs::write(folder.join(format!("{name}.key")), &private).map_err(|e| told(&e))?;
            fs::write(folder.join(format!("{name}.pem")), certificate.pem() + &private)
                .map_err(|e| told(&e))?;
        }
        Ok(Self { folder, keys })
    }

    /// The server's settings for it.
    pub(crate) fn lines(&self) -> String {
        let folder = self.folder.display();
        format!("tls-certificate={folder}/server.pem\ntls-key={folder}/server.key\ntls-ca={folder}/ca.pem\n")
    }
}
