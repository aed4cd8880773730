//! The log: lines for people, JSON, or nats-server's form, to standard error or a file that can be opened anew.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crosstie_core::{Error, Kind};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format::Writer},
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
};

use crate::settings::{LogFormat, LogSettings};

/// The log of this process.
pub(crate) struct Log {
    /// `None` if the program around us had set up a log of its own before.
    filter: Option<reload::Handle<EnvFilter, Registry>>,
    sink: Sink,
}

impl Log {
    /// Sets up the log of this process, unless it has one.
    pub(crate) fn install(settings: &LogSettings) -> Result<Self, Error> {
        let sink = Sink::open(settings.file.as_deref())?;
        let (filter, handle) = reload::Layer::new(filter(&settings.level)?);
        let subscriber = tracing_subscriber::registry().with(lines(settings, sink.clone()).with_filter(filter));
        let installed = tracing::subscriber::set_global_default(subscriber).is_ok();
        Ok(Self { filter: installed.then_some(handle), sink })
    }

    /// Opens the file anew, after somebody has moved it away.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        self.sink.reopen()
    }

    /// Changes which lines are written from now on.
    pub(crate) fn set_level(&self, level: &str) -> Result<(), Error> {
        let new = filter(level)?;
        self.filter.as_ref().map_or(Ok(()), |handle| {
            handle
                .reload(new)
                .map_err(|error| Error::new(Kind::Bug, "the log does not take a new level").because(error))
        })
    }
}

/// True if `level` names a level or a list of directives.
pub(crate) fn valid_level(level: &str) -> bool {
    filter(level).is_ok()
}

fn filter(level: &str) -> Result<EnvFilter, Error> {
    EnvFilter::builder().parse(level).map_err(|error| {
        let text = format!("expected a log level like 'info' or 'info,crosstie_broker=debug', found '{level}'");
        Error::new(Kind::InvalidInput, text).because(error)
    })
}

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

fn lines(settings: &LogSettings, sink: Sink) -> Lines {
    let colour = settings.file.is_none() && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let layer = tracing_subscriber::fmt::layer().with_writer(sink).log_internal_errors(false);
    match (settings.format, settings.time) {
        (LogFormat::Text, true) => layer.with_ansi(colour).with_target(false).boxed(),
        (LogFormat::Text, false) => layer.with_ansi(colour).with_target(false).without_time().boxed(),
        (LogFormat::Json, true) => layer.json().flatten_event(true).boxed(),
        (LogFormat::Json, false) => layer.json().flatten_event(true).without_time().boxed(),
        (LogFormat::Nats, time) => {
            layer.with_ansi(false).event_format(NatsLine { pid: std::process::id(), time }).boxed()
        }
    }
}

/// `[pid] 2026/11/21 02:00:00.000000 [INF] text`, in UTC.
struct NatsLine {
    pid: u32,
    time: bool,
}

impl<S, N> FormatEvent<S, N> for NatsLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(writer, "[{}] ", self.pid)?;
        if self.time {
            let now = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
            let now = now.trim_end_matches('Z').replace('-', "/").replace('T', " ");
            write!(writer, "{now} ")?;
        }
        let level = match *event.metadata().level() {
            Level::ERROR => "ERR",
            Level::WARN => "WRN",
            Level::INFO => "INF",
            Level::DEBUG => "DBG",
            Level::TRACE => "TRC",
        };
        write!(writer, "[{level}] ")?;
        ctx.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Where lines go.
#[derive(Clone)]
struct Sink {
    target: Arc<Target>,
}

enum Target {
    Stderr,
    File { path: PathBuf, file: Mutex<File> },
}

impl Sink {
    fn open(path: Option<&Path>) -> Result<Self, Error> {
        let target = match path {
            None => Target::Stderr,
            Some(path) => {
                let file = append_to(path).map_err(|error| {
                    Error::new(Kind::Io, format!("cannot log to '{}'", path.display())).because(error)
                })?;
                Target::File { path: path.to_owned(), file: Mutex::new(file) }
            }
        };
        Ok(Self { target: Arc::new(target) })
    }

    fn reopen(&self) -> io::Result<()> {
        if let Target::File { path, file } = &*self.target {
            *file.lock().unwrap_or_else(PoisonError::into_inner) = append_to(path)?;
        }
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &*self.target {
            Target::Stderr => io::stderr().write(bytes),
            Target::File { file, .. } => file.lock().unwrap_or_else(PoisonError::into_inner).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
