//! Who the other side has proved to be: the names in its certificate, and the fingerprint.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::der::{OBJECT, OCTETS, SEQUENCE, SET, Value, Values};

/// The certificate that the other side has shown, after it was checked: signed by whom we trust, in force, and its key in the other side's hands.
///
/// A certificate may have several names; an authority vouches for each of them. At most 64 are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    fingerprint: [u8; 32],
    common_name: Option<String>,
    dns_names: Vec<String>,
    emails: Vec<String>,
    uris: Vec<String>,
    addresses: Vec<IpAddr>,
}

const MOST_NAMES: usize = 64;

impl Certificate {
    pub(super) fn read(der: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let fingerprint = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let mut certificate = Self {
            fingerprint,
            common_name: None,
            dns_names: Vec::new(),
            emails: Vec::new(),
            uris: Vec::new(),
            addresses: Vec::new(),
        };
        // What cannot be read has no names.
        let _ = certificate.fill(der);
        certificate
    }

    /// SHA-256 of the whole certificate, as hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The common name of its subject.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// Its names in the domain name system.
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// Its e-mail addresses.
    pub fn emails(&self) -> &[String] {
        &self.emails
    }

    /// Its URIs, as SPIFFE has them.
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// Its network addresses.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The name that people know it by: the common name, else the first of the others, else the fingerprint.
    pub fn name(&self) -> String {
        let others = self.uris.iter().chain(&self.emails).chain(&self.dns_names);
        let first = self.common_name.iter().chain(others).next().cloned();
        first.or_else(|| self.addresses.first().map(ToString::to_string)).unwrap_or_else(|| self.fingerprint())
    }

    /// RFC 5280, section 4.1.
    fn fill(&mut self, der: &[u8]) -> Option<()> {
        let mut outer = Values(der).next()?.inside(SEQUENCE)?;
        let mut fields = outer.next()?.inside(SEQUENCE)?.filter(|field| field.tag != VERSION);
        // Serial number, algorithm, issuer and validity come first.
        let subject = fields.nth(4)?;
        self.common_name = subject.inside(SEQUENCE)?.find_map(common_name);
        let extensions = fields.find(|field| field.tag == EXTENSIONS)?;
        let extensions = Values(extensions.content).next()?.inside(SEQUENCE)?;
        let names = extensions.filter_map(|extension| alternative_names(extension)).flatten();
        for name in names.take(MOST_NAMES) {
            self.add(name);
        }
        Some(())
    }

    fn add(&mut self, name: Value<'_>) {
        let text = || std::str::from_utf8(name.content).ok().filter(|text| text.chars().all(|c| !c.is_control()));
        match name.tag {
            0x81 => self.emails.extend(text().map(str::to_owned)),
            0x82 => self.dns_names.extend(text().map(str::to_owned)),
            0x86 => self.uris.extend(text().map(str::to_owned)),
            0x87 => self.addresses.extend(address(name.content)),
            _ => {}
        }
    }
}

const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// 2.5.29.17
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
const UTF8_STRING: u8 = 12;
const PRINTABLE_STRING: u8 = 19;
const IA5_STRING: u8 = 22;

fn common_name(set: Value<'_>) -> Option<String> {
    let mut pair = set.inside(SET)?.next()?.inside(SEQUENCE)?;
    let kind = pair.next().filter(|kind| kind.tag == OBJECT)?;
    let text = pair.next().filter(|text| matches!(text.tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING))?;
    let text = std::str::from_utf8(text.content).ok()?;
    (kind.content == COMMON_NAME && text.chars().all(|c| !c.is_control())).then(|| text.to_owned())
}

fn alternative_names(extension: Value<'_>) -> Option<Values<'_>> {
    let mut parts = extension.inside(SEQUENCE)?;
    parts.next().filter(|kind| kind.tag == OBJECT && kind.content == ALTERNATIVE_NAMES)?;
    // Whether it is critical may stand between.
    let content = parts.find(|part| part.tag == OCTETS)?.content;
    Values(content).next()?.inside(SEQUENCE)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
        _ => None,
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.name(), self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn made() -> Vec<u8> {
        let mut params = CertificateParams::new(["a.example".to_owned(), "10.0.0.7".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "Bank");
        params.distinguished_name.push(DnType::CommonName, "ann");
        params.subject_alt_names.push(SanType::Rfc822Name("ann@a.example".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("spiffe://a.example/ann".try_into().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress("::1".parse().unwrap()));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn every_kind_of_name_is_found() {
        let certificate = Certificate::read(&made());
        assert_eq!(certificate.common_name(), Some("ann"));
        assert_eq!(certificate.dns_names(), ["a.example"]);
        assert_eq!(certificate.emails(), ["ann@a.example"]);
        assert_eq!(certificate.uris(), ["spiffe://a.example/ann"]);
        assert_eq!(certificate.addresses(), ["10.0.0.7".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!((certificate.name().as_str(), certificate.fingerprint().len()), ("ann", 64));
    }

    #[test]
    fn a_damaged_certificate_has_fewer_names_and_harms_nobody() {
        let der = made();
        for at in 0..der.len() {
            Certificate::read(&der[..at]);
            for bit in [1, 0x80] {
                let mut damaged = der.clone();
                damaged[at] ^= bit;
                let certificate = Certificate::read(&damaged);
                assert!(certificate.common_name().is_none_or(|name| name.len() < der.len()));
            }
        }
        assert_eq!(Certificate::read(b"").name(), Certificate::read(b"").fingerprint());
    }
}
