//! Certificates for tests: authorities of one's own, and what they sign, good or expired.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};

/// Whoever signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    name: String,
}

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// When a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Now.
    Now,
    /// Not any more.
    Over,
    /// Not yet.
    Later,
}

impl Authority {
    /// A new one. Its certificate and those that it issues are in `folder`, beginning with `name`.
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("there are no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("keys can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it signs itself");
        fs::write(folder.join(format!("{name}.ca.pem")), issuer.pem()).expect("it can be written");
        Self { issuer, folder: folder.to_owned(), name: name.to_owned() }
    }

    /// The file of its own certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.join(format!("{}.ca.pem", self.name))
    }

    /// A certificate for `names`, hosts and addresses, whose common name is `who`. It is good for servers and clients.
    pub fn issue(&self, who: &str, names: &[&str], validity: Validity) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names are names");
        params.distinguished_name.push(DnType::CommonName, who);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = match validity {
            Validity::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2100, 1, 1)),
            Validity::Over => (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1)),
            Validity::Later => (date_time_ymd(2099, 1, 1), date_time_ymd(2100, 1, 1)),
        };
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed");
        let path = |kind: &str| self.folder.join(format!("{}.{who}.{kind}.pem", self.name));
        let issued = Issued { cert: path("cert"), key: path("key") };
        fs::write(&issued.cert, certificate.pem()).expect("it can be written");
        fs::write(&issued.key, key.serialize_pem()).expect("it can be written");
        issued
    }
}

impl Issued {
    /// The part of a URL that names them, and whoever is trusted: `cert=…&key=…&ca=…`.
    pub fn options(&self, ca: &Path) -> String {
        format!("cert={}&key={}&ca={}", self.cert.display(), self.key.display(), ca.display())
    }
}
