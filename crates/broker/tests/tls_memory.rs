//! What those hold who begin TLS and never end it. Memory is counted by the process, so this test has one of its own.

mod served;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crosstie_broker::{Options, Tls};
use crosstie_net::{TlsClient, TlsFiles};
use crosstie_testkit::certificates::Place;

use self::served::serve;

const LONG: Duration = Duration::from_secs(60);
/// How many begin.
const CROWD: usize = 700;
/// How long the first message is that each of them announces, and ends but for a byte: nearly as long as one may be.
const MESSAGE: usize = 60_000;
/// Of those in the middle of a handshake a reactor keeps 256, and of each as many bytes as a handshake may have.
const MOST: usize = 256 * 128 * 1024;

/// Of the process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

/// All but the end of a first message, in records as long as they may be.
fn half() -> Vec<u8> {
    let mut message = vec![1, 0, (MESSAGE >> 8) as u8, MESSAGE as u8, 3, 3];
    message.resize(MESSAGE, 7);
    let record = |piece: &[u8]| [&[22, 3, 1, (piece.len() >> 8) as u8, piece.len() as u8], piece].concat();
    message.chunks(16_000).flat_map(record).collect()
}

fn begin(port: u16, half: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(half).unwrap();
    stream
}

#[test]
fn half_handshakes_hold_little_however_many_they_are() {
    let place = Place::new();
    let mut files = TlsFiles::default();
    (files.cert, files.key) = (Some(place.server.cert.clone()), Some(place.server.key.clone()));
    let mut options = Options::default();
    let mut tls = Tls::new(files);
    tls.timeout = LONG;
    options.tls = Some(tls);
    // Each of them keeps as many.
    options.reactors = 1;
    let (broker, port) = serve(options);
    let half = half();
    let (before, began) = (resident(), Instant::now());
    let crowd: Vec<TcpStream> = (0..CROWD).map(|_| begin(port, &half)).collect();
    // Whoever began first has made room for the others; all that is kept was taken in by then, for they were taken in in their order.
    let (mut most, mut dismissed) = (0, 0);
    while dismissed < CROWD - 256 {
        most = most.max(resident().saturating_sub(before));
        dismissed = broker.snapshot().auth_errors as usize;
        assert!(began.elapsed() < LONG, "{dismissed} were dismissed");
    }
    assert!(most < MOST, "{most} bytes, expected at most {MOST} of {} that came", CROWD * half.len());
    // The control: what they hold is seen.
    assert!(most > 128 * MESSAGE, "{most} bytes");
    // A newcomer is served meanwhile.
    let mut files = TlsFiles::default();
    files.ca = Some(place.authority.ca());
    let client = TlsClient::new(files, None).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut byte = [0];
    while byte != *b"\n" {
        stream.read_exact(&mut byte).unwrap();
    }
    let mut honest = client.secure_blocking(stream, "127.0.0.1", LONG).unwrap();
    honest.set_timeout(Some(LONG));
    honest.write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n").unwrap();
    let mut answer = [0; 6];
    honest.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"PONG\r\n");
    drop(crowd);
    broker.shutdown();
}
