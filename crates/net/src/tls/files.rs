//! The files of TLS: certificates, keys and authorities, in PEM.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crosstie_core::{Error, Kind, Options};
use rustix::fs::{Mode, OFlags, open};
use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

/// Where the certificate, its key and the authorities that are trusted stand. None of them holds more than 1 MiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFiles {
    /// The certificate that this side shows, and those between it and the authority, in this order.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// The authorities that the other side's certificate may be signed by.
    pub ca: Option<PathBuf>,
}

/// A chain of certificates and the key of the first.
pub(super) type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl TlsFiles {
    /// Those that an endpoint names.
    pub fn of(options: &Options) -> Self {
        Self { cert: options.cert.clone(), key: options.key.clone(), ca: options.ca.clone() }
    }

    /// What this side shows, if it shows anything.
    pub(super) fn shown(&self) -> Result<Option<Shown>, Error> {
        match (&self.cert, &self.key) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some((certificates(cert)?, private_key(key)?))),
            (Some(cert), None) => Err(one_of_two("key", "the certificate", cert)),
            (None, Some(key)) => Err(one_of_two("cert", "the key", key)),
        }
    }

    /// Those who are trusted, if they are named.
    pub(super) fn authorities(&self) -> Result<Option<RootCertStore>, Error> {
        let Some(path) = &self.ca else { return Ok(None) };
        let mut store = RootCertStore::empty();
        for certificate in certificates(path)? {
            store.add(certificate).map_err(|error| refused(path, "certificates of authorities").because(error))?;
        }
        Ok(Some(store))
    }
}

fn one_of_two(missing: &str, what: &str, path: &Path) -> Error {
    let text =
        format!("a certificate and its key go together: '{missing}=' is missing beside {what} {}", path.display());
    Error::new(Kind::InvalidInput, text)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|error| malformed(path, "certificates", error))?;
    if all.is_empty() { Err(refused(path, "'-----BEGIN CERTIFICATE-----'")) } else { Ok(all) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| malformed(path, "an unencrypted private key", error))
}

/// The same where the text between the marks is the reason; a mark that is missing is told as text.
fn malformed(path: &Path, expected: &str, error: pem::Error) -> Error {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let mark = String::from_utf8_lossy(&end_marker).into_owned();
            refused(path, &format!("'-----END {mark}-----' behind the last of the {expected}"))
        }
        pem::Error::NoItemsFound => refused(path, expected),
        error => refused(path, expected).because(error),
    }
}

fn refused(path: &Path, expected: &str) -> Error {
    Error::new(Kind::InvalidInput, format!("expected {expected} in '{}'", path.display()))
}

const MOST: u64 = 1 << 20;

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let told =
        |error: io::Error| Error::new(Kind::InvalidInput, format!("cannot read '{}'", path.display())).because(error);
    // Opening a pipe would wait for somebody who writes, and what is there may change at any time.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).map(File::from).map_err(|error| told(error.into()))?;
    if !file.metadata().map_err(told)?.is_file() {
        return Err(Error::new(Kind::InvalidInput, format!("expected a file at '{}'", path.display())));
    }
    let mut text = Vec::new();
    file.take(MOST + 1).read_to_end(&mut text).map_err(told)?;
    if text.len() as u64 > MOST {
        return Err(Error::new(Kind::InvalidInput, format!("expected at most {MOST} bytes in '{}'", path.display())));
    }
    Ok(text)
}
