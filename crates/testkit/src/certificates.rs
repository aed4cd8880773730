//! Certificates for tests: authorities of one's own, and what they sign, good or expired.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;

/// A folder with an authority, a certificate of a server on loopback, and one of a client called `ann`. It is gone when this is dropped.
pub struct Place {
    folder: TempDir,
    /// Who has signed both.
    pub authority: Authority,
    /// What a server shows at [`HERE`].
    pub server: Issued,
    /// What a client shows.
    pub client: Issued,
}

/// The names of this machine in the certificate of its server.
pub const HERE: &[&str] = &["127.0.0.1", "localhost"];

impl Place {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::new(folder.path(), "ours");
        let server = authority.issue("server", HERE, Validity::Now);
        let client = authority.issue("ann", &[], Validity::Now);
        Self { folder, authority, server, client }
    }

    /// The folder, for what else a test leaves.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another authority, which nobody here trusts.
    pub fn stranger(&self) -> Authority {
        Authority::new(self.folder(), "theirs")
    }

    /// The part of a URL with which a server shows its certificate and asks for none: `cert=…&key=…`.
    pub fn shown(&self) -> String {
        self.server.shown()
    }

    /// The part of a URL with which a server asks for certificates as well: `cert=…&key=…&ca=…`.
    pub fn mutual(&self) -> String {
        self.server.options(&self.authority.ca())
    }

    /// The part of a URL with which a client believes the server: `ca=…`.
    pub fn trusting(&self) -> String {
        format!("ca={}", self.authority.ca().display())
    }
}

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
    /// The part of a URL that names them: `cert=…&key=…`.
    pub fn shown(&self) -> String {
        format!("cert={}&key={}", self.cert.display(), self.key.display())
    }

    /// The part of a URL that names them, and whoever is trusted: `cert=…&key=…&ca=…`.
    pub fn options(&self, ca: &Path) -> String {
        format!("{}&ca={}", self.shown(), ca.display())
    }
}
