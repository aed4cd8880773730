//! `crosstie tls init`: an authority and certificates for a trial.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::{Args, Subcommand};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use serde_json::json;

use crate::{
    exit::{Code, Failure},
    output::Output,
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie tls init                      into ./tls, for this machine
  crosstie tls init /tmp/t --name node1  for others that call it node1")]
pub(crate) struct TlsArgs {
    #[command(subcommand)]
    command: TlsCommand,
}

#[derive(Subcommand)]
enum TlsCommand {
    /// Make an authority, and certificates of it for a server and a client
    ///
    /// They are for a trial: whoever has the authority's key, ca.key, can make more. Files that are there already are not written over.
    Init(InitArgs),
}

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie tls init
  crosstie tls init /tmp/t --name node1 --name 10.0.0.7 --days 7
  crosstie tls init --json | jq -r .expires")]
struct InitArgs {
    /// Where to; it is made if it is not there
    #[arg(default_value = "tls")]
    directory: PathBuf,
    /// A name or address of the server, besides localhost; may come several times
    #[arg(long, value_name = "HOST")]
    name: Vec<String>,
    /// The name of the client
    #[arg(long, value_name = "NAME", default_value = "client")]
    client: String,
    /// How many days they hold
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
}

pub(crate) fn run(args: &TlsArgs, output: &Output) -> Result<(), Failure> {
    let TlsCommand::Init(args) = &args.command;
    init(args, output)
}

const FILES: [&str; 6] = ["ca.pem", "ca.key", "server.pem", "server.key", "client.pem", "client.key"];

fn init(args: &InitArgs, output: &Output) -> Result<(), Failure> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.extend(args.name.iter().cloned());
    if let Some(wrong) = names.iter().find(|name| !is_host(name)) {
        return Err(Failure::usage(format!("--name: expected a host name or an address, found '{wrong}'")));
    }
    if args.client.is_empty() || args.client.len() > LONGEST_NAME || args.client.contains(char::is_control) {
        let text =
            format!("--client: expected a name of 1 to {LONGEST_NAME} bytes in one line, found {:?}", args.client);
        return Err(Failure::usage(text));
    }
    let made = make(args, &names).map_err(|error| {
        let text = format!("no certificates can be made for {}: {error}", names.join(", "));
        Failure::new(Code::Usage, "invalid_input", text)
    })?;
    let folder = &args.directory;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| told(folder, &error))?;
    if let Some(there) = FILES.iter().map(|file| folder.join(file)).find(|path| path.exists()) {
        let text = format!("'{}' is there already: name another directory, or remove it", there.display());
        return Err(Failure::new(Code::Failure, "exists", text));
    }
    for (file, text) in FILES.iter().zip(&made) {
        let path = folder.join(file);
        write(&path, text).map_err(|error| told(&path, &error))?;
    }
    let expires = humantime::format_rfc3339_seconds(SystemTime::now() + days(args.days)).to_string();
    let value =
        json!({ "directory": folder, "files": FILES, "names": names, "client": args.client, "expires": expires });
    output.data(&value, || next(folder, &names, args).into_bytes())
}

/// The longest common name of a certificate (X.520).
const LONGEST_NAME: usize = 64;

/// Whether a client may call the server so; `*` as the first word stands for one.
fn is_host(name: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    name.parse::<IpAddr>().is_ok() || name.strip_prefix("*.").unwrap_or(name).split('.').all(is_word)
}

fn days(count: u16) -> Duration {
    Duration::from_secs(u64::from(count) * 24 * 60 * 60)
}

fn told(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::Failure, "io", format!("'{}' cannot be written: {error}", path.display()))
}

/// Keys are the owner's alone from the first moment on; what was there is not written over.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let is_key = path.extension().is_some_and(|extension| extension == "key");
    let mode = if is_key { 0o600 } else { 0o644 };
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The contents of the files, in their order.
fn make(args: &InitArgs, names: &[String]) -> Result<[String; 6], rcgen::Error> {
    let mut params = params(Vec::new(), "Crosstie trial authority", args.days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let issue = |names: Vec<String>, who: &str, purpose| {
        let mut params = self::params(names, who, args.days)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;
        Ok::<_, rcgen::Error>((certificate.pem(), key.serialize_pem()))
    };
    let (server, server_key) = issue(names.to_vec(), "server", ExtendedKeyUsagePurpose::ServerAuth)?;
    let (client, client_key) = issue(Vec::new(), &args.client, ExtendedKeyUsagePurpose::ClientAuth)?;
    Ok([authority.pem(), authority.key().serialize_pem(), server, server_key, client, client_key])
}

fn params(names: Vec<String>, who: &str, days_left: u16) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, who);
    let now = SystemTime::now();
    // Whole days, since clocks differ; the last one is the day after.
    let (from, to) = (day(now - days(1)), day(now + days(days_left) + days(1)));
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(to.0, to.1, to.2);
    Ok(params)
}

/// The year, month and day of a time.
fn day(time: SystemTime) -> (i32, u8, u8) {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let part = |range: std::ops::Range<usize>| text[range].parse::<u16>().expect("RFC 3339 has digits there");
    let small = |number: u16| u8::try_from(number).expect("months and days are small");
    (part(0..4).into(), small(part(5..7)), small(part(8..10)))
}

/// What to type next.
fn next(folder: &Path, names: &[String], args: &InitArgs) -> String {
    let at = folder.display();
    format!(
        "In {at}, valid for {} days: an authority (ca), and certificates
  for the server, as {}
  for the client, as {}

Start a broker that lets in nobody without a certificate:
  crosstie serve --tls-cert {at}/server.pem --tls-key {at}/server.key --tls-ca {at}/ca.pem

Then, in another terminal:
  export CROSSTIE_URL='tls://localhost?ca={at}/ca.pem&cert={at}/client.pem&key={at}/client.key'
  crosstie sub 'greet.*' &
  crosstie pub greet.world hello

Or without a broker, 'listen' here and 'pipe' there:
  crosstie listen 'tls://:7000?cert={at}/server.pem&key={at}/server.key&ca={at}/ca.pem'
  crosstie pipe - 'tls://localhost:7000?ca={at}/ca.pem&cert={at}/client.pem&key={at}/client.key'
",
        args.days,
        names.join(", "),
        args.client
    )
}
