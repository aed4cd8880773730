//! A server from its settings to its end: listeners, broker, monitoring, pid file, ports file, log, signals.

use std::sync::{Arc, Mutex, PoisonError};

use crosstie_broker::{Broker, NATS_VERSION};
use crosstie_core::{Endpoint, Error, HostPort, Kind, Result, Target};
use crosstie_net::SocketListener;

use crate::{
    config::{Layers, differing},
    monitor::{About, Monitoring},
    process::{Log, PidFile, PortsFile, SignalCommand, Signals},
    settings::Settings,
};

/// A running server inside this process: a broker and what is around it, but neither log nor signals.
///
/// It ends when it is dropped.
pub struct Server {
    broker: Broker,
    monitoring: Option<Monitoring>,
    _pid_file: Option<PidFile>,
    _ports_file: Option<PortsFile>,
}

impl Server {
    /// Starts a server; when this returns, it listens.
    ///
    /// # Errors
    ///
    /// What keeps the server from listening where the settings say, from being as open as they say, or from writing a file.
    pub fn start(settings: &Settings) -> Result<Self> {
        let listeners = settings.listen.iter().map(SocketListener::bind_and_ask).collect::<Result<Vec<_>>>()?;
        let broker = Broker::start(settings.options.clone(), listeners)?;
        Self::around(broker.clone(), settings).inspect_err(|_| broker.shutdown())
    }

    fn around(broker: Broker, settings: &Settings) -> Result<Self> {
        let clients = broker.local_endpoints().iter().find_map(tcp);
        let about = About { insecure: settings.options.insecure, clients };
        let monitoring =
            settings.http.as_ref().map(|at| Monitoring::start(at, about, Arc::new(broker.clone()))).transpose()?;
        let pid_file = settings.pid_file.clone().map(PidFile::write).transpose()?;
        let address = monitoring.as_ref().map(Monitoring::address);
        let ports_file = settings
            .ports_file_dir
            .as_deref()
            .map(|folder| PortsFile::write(folder, broker.local_endpoints(), address))
            .transpose()?;
        Ok(Self { broker, monitoring, _pid_file: pid_file, _ports_file: ports_file })
    }

    /// The broker.
    pub const fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Where clients connect, with the ports that the system chose.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.broker.local_endpoints()
    }

    /// Where monitoring answers, if it does.
    pub fn monitoring(&self) -> Option<std::net::SocketAddr> {
        self.monitoring.as_ref().map(Monitoring::address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.broker.shutdown();
    }
}

fn tcp(endpoint: &Endpoint) -> Option<HostPort> {
    match endpoint.target() {
        Target::Tcp { host } => Some(host.clone()),
        _ => None,
    }
}

/// Runs a server until a signal ends it; `reload` reads the settings again when SIGHUP asks for it. Blocks.
///
/// # Errors
///
/// What keeps it from starting. It does not fail later.
pub(crate) fn serve_until_signalled(
    settings: Settings,
    reload: impl Fn() -> Result<Settings> + Send + 'static,
) -> Result<()> {
    let log = Log::install(&settings.log)?;
    // Before anything listens: whoever sees it listening may signal it.
    let server: Arc<Mutex<Progress>> = Arc::default();
    let signals = {
        let server = Arc::clone(&server);
        let mut current = settings.clone();
        Signals::listen(move |command| match command {
            SignalCommand::Reopen => reopen(&log),
            SignalCommand::Reload => {
                let broker = server.lock().unwrap_or_else(PoisonError::into_inner).broker.clone();
                match reload().and_then(|new| put_in_force(&log, broker.as_ref(), &current, new)) {
                    Ok(new) => current = new,
                    Err(error) => tracing::error!("Reload refused, nothing has changed: {error}"),
                }
            }
            SignalCommand::LameDuck => {
                tracing::info!("Entering lame duck mode, stop accepting new clients");
                let broker = server.lock().unwrap_or_else(PoisonError::into_inner).ask(command);
                if let Some(broker) = broker {
                    broker.lame_duck();
                }
            }
            SignalCommand::Stop | SignalCommand::Quit | SignalCommand::Term => {
                tracing::info!("Initiating Shutdown...");
                let broker = server.lock().unwrap_or_else(PoisonError::into_inner).ask(command);
                if let Some(broker) = broker {
                    broker.shutdown();
                }
            }
        })?
    };
    let running = start_and_tell(&settings).inspect_err(|error| {
        // Whoever called us tells it on standard error: there it would stand twice.
        if settings.log.file.is_some() {
            tracing::error!("{error}");
        }
    })?;
    let asked = server.lock().unwrap_or_else(PoisonError::into_inner).started(running.broker().clone());
    match asked {
        Some(SignalCommand::LameDuck) => running.broker().lame_duck(),
        Some(_) => running.broker().shutdown(),
        None => {}
    }
    running.broker().wait();
    drop(running);
    tracing::info!("Server Exiting..");
    drop(signals);
    Ok(())
}

/// How far the start has come, and what a signal asked for meanwhile.
#[derive(Default)]
struct Progress {
    broker: Option<Broker>,
    asked: Option<SignalCommand>,
}

impl Progress {
    /// The broker that `command` is for; without one it is kept until there is.
    fn ask(&mut self, command: SignalCommand) -> Option<Broker> {
        if self.broker.is_none() {
            self.asked = Some(command);
        }
        self.broker.clone()
    }

    /// What was asked for before `broker` had started.
    fn started(&mut self, broker: Broker) -> Option<SignalCommand> {
        self.broker = Some(broker);
        self.asked.take()
    }
}

/// The lines that programs look for have nats-server's wording.
fn start_and_tell(settings: &Settings) -> Result<Server> {
    tracing::info!("Starting crosstie {}", env!("CARGO_PKG_VERSION"));
    tracing::info!("  Version:  {NATS_VERSION} (NATS protocol)");
    if let Some(folder) = &settings.store_dir {
        tracing::info!("  Store Directory:  \"{}\"", folder.display());
        tracing::warn!("Nothing is stored in the store directory: this server has no JetStream");
    }
    let server = Server::start(settings)?;
    let snapshot = server.broker().snapshot();
    tracing::info!("  Name:     {}", snapshot.server_name);
    tracing::info!("  ID:       {}", snapshot.server_id);
    if let Some(address) = server.monitoring() {
        tracing::info!("Starting http monitor on {address}");
    }
    for (endpoint, asked) in server.endpoints().iter().zip(&settings.listen) {
        match tcp(endpoint) {
            Some(host) => {
                // By the name that it was given, since certificates are for names.
                let name = if let Target::Tcp { host } = asked { &host.host } else { &host.host };
                let shown = HostPort { host: name.clone(), port: host.port };
                tracing::info!("Listening for client connections on {shown}");
                if !host.is_loopback() && !settings.options.auth.is_required() {
                    tracing::warn!(
                        "Everybody who reaches {host} may do everything: nobody has to authenticate (insecure)"
                    );
                }
            }
            None => tracing::info!("Listening for client connections on {endpoint}"),
        }
    }
    if let Some(tls) = &settings.options.tls {
        let what = if tls.allow_plain { "TLS available" } else { "TLS required" };
        let whom = if tls.files.ca.is_some() { ", with certificates of their own" } else { "" };
        tracing::info!("{what} for client connections{whom}");
    }
    tracing::info!("Server is ready");
    Ok(server)
}

fn reopen(log: &Log) {
    match log.reopen() {
        Ok(()) => tracing::info!("File log re-opened"),
        Err(error) => tracing::error!(%error, "cannot open the log file anew; the old one is still written to"),
    }
}

/// Changes what has changed from `current` to `new`, all of it or nothing, and returns what is in force then.
fn put_in_force(log: &Log, broker: Option<&Broker>, current: &Settings, new: Settings) -> Result<Settings> {
    let refused = |text: String| Err(Error::new(Kind::InvalidInput, text));
    let Some(broker) = broker else {
        return refused("the server is still starting, ask again once it is ready".to_owned());
    };
    let changed = differing(current, &new);
    let fixed: Vec<_> = changed.iter().filter(|key| !key.reloads).map(|key| format!("'{}'", key.path)).collect();
    if !fixed.is_empty() {
        let text =
            format!("{} cannot change while the server runs: start it anew, or leave what it was", fixed.join(", "));
        return refused(text);
    }
    let done = broker.reload(new.options.clone())?;
    // The level was read by the same rules that the log has.
    log.set_level(&new.log.level)?;
    for key in changed {
        tracing::info!("Reloaded: {}", key.path);
    }
    if done.cut_off > 0 || done.subscriptions_ended > 0 {
        tracing::info!(
            "Cut off {} connections whose user, password or token is gone, and ended {} subscriptions that are no longer allowed",
            done.cut_off,
            done.subscriptions_ended
        );
    }
    tracing::info!("Reloaded server configuration");
    Ok(new)
}

/// Runs `crosstie serve`. Blocks until the server has ended.
///
/// # Errors
///
/// What is wrong with the configuration, or keeps the server from starting.
pub fn main_serve(layers: Layers) -> Result<()> {
    let loaded = layers.load()?;
    serve_until_signalled(loaded.settings, move || Ok(layers.load()?.settings))
}
