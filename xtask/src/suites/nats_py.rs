//! nats-py's own tests, with our module for starting servers, run by pytest against the server under test.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::expect::{self, Ending, Endings};
use super::namespace::Namespace;
use super::run::{self, Choice, Runner};
use super::trial::{Trial, cargo, own_files, suites_folder};
use crate::failure::{Failure, Result};
use crate::root;
use crate::tools::{self, Tool};

/// Ports that the suite's servers take.
const PORTS: [u16; 9] = [4222, 4223, 4224, 4225, 4555, 8222, 8223, 8224, 8225];

/// A run that takes longer has hung.
const WATCHDOG_SECONDS: &str = "240";

pub(super) fn run(trial: &Trial) -> Result<()> {
    let namespace = Namespace::find();
    if namespace.is_none()
        && let Some(port) = PORTS.iter().find(|port| TcpListener::bind(("127.0.0.1", **port)).is_err())
    {
        return Err(Failure::not_run(format!(
            "port {port} is taken, and this machine allows no network namespace (unshare --net)"
        )));
    }
    let pytest = tools::install(Tool::Pytest)?;
    let folder = unpack()?;
    let certificates = certificates()?;
    let expected = expect::read(&own_files("nats-py.expect"))?;
    let mut runner = Pytest {
        trial,
        python_path: format!("{}:{}", folder.display(), pytest.display()),
        python: tools::python()?,
        folder,
        certificates,
        namespace,
    };
    run::judge(&expected, trial.all, &mut runner)
}

/// Lays the package out with the module that it does not ship.
fn unpack() -> Result<PathBuf> {
    let package = tools::install(Tool::NatsPy)?;
    let folder = suites_folder().join(Tool::NatsPy.name());
    if !folder.is_dir() {
        tools::make_folder(&suites_folder())?;
        tools::run_quietly(Command::new("cp").arg("-r").arg(package).arg(&folder))?;
    }
    fs::copy(own_files("nats-py/utils.py"), folder.join("tests/utils.py")).map_err(Failure::failed)?;
    fs::write(folder.join("tests/__init__.py"), "").map_err(Failure::failed)?;
    Ok(folder)
}

struct Pytest<'a> {
    trial: &'a Trial,
    python: PathBuf,
    python_path: String,
    folder: PathBuf,
    /// Where the certificates of its servers and clients are, which the package does not ship.
    certificates: PathBuf,
    namespace: Option<Namespace>,
}

/// Certificates for the suite's servers and clients.
fn certificates() -> Result<PathBuf> {
    let folder = suites_folder().join("certificates");
    tools::make_folder(&folder)?;
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "crosstie-testkit", "--features", "certificates"]);
    command.args(["--bin", "certificates", "--"]).arg(&folder).current_dir(root::workspace());
    tools::run_quietly(&mut command)?;
    Ok(folder)
}

impl Runner for Pytest<'_> {
    fn run(&mut self, file: &str, choice: Choice<'_>) -> Result<Endings> {
        let mut command = match self.namespace {
            Some(namespace) => namespace.command("timeout"),
            None => Command::new("timeout"),
        };
        command.arg(WATCHDOG_SECONDS).arg(&self.python);
        command.args(["-m", "pytest", "--verbose", "--tb=short", "-p", "no:cacheprovider"]);
        command.args(["-o", "console_output_style=classic"]);
        let path = format!("tests/{file}.py");
        match choice {
            Choice::AllBut(left_out) => {
                let names = left_out.iter().map(|name| format!("{path}::{name}"));
                command.args(names.flat_map(|name| ["--deselect".to_owned(), name]));
                command.arg(&path);
            }
            Choice::Only(names) => {
                command.args(names.iter().map(|name| format!("{path}::{name}")));
            }
        }
        command.current_dir(&self.folder).env("PATH", self.trial.search_path());
        command.env("SUITE_CERTIFICATES", &self.certificates);
        // Some of its tests are for servers newer than the suite's authors had; ours and those we compare with are.
        command.env("NATS_SERVER_VERSION", "main");
        command.env("PYTHONPATH", &self.python_path).env("PYTHONDONTWRITEBYTECODE", "1");
        // The suite's lines are read by eye and by us: no colours, no wrapping.
        command.env("NO_COLOR", "1").env("COLUMNS", "200");
        let output = command.stdin(Stdio::null()).output().map_err(Failure::failed)?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = suites_folder().join(format!("{file}.log"));
        fs::write(&log, [told.as_bytes(), &output.stderr].concat()).map_err(Failure::failed)?;
        match output.status.code() {
            // 0: all passed; 1: some failed; 5: nothing to run.
            Some(0 | 1 | 5) => Ok(endings(&told)),
            _ => Err(Failure::failed(format!("{file} ended with {}; see {}", output.status, log.display()))),
        }
    }
}

/// Reads lines such as `tests/test_client.py::ClientTest::test_flush PASSED`.
fn endings(told: &str) -> Endings {
    told.lines()
        .filter_map(|line| {
            let (path, rest) = line.strip_prefix("tests/")?.split_once("::")?;
            path.strip_suffix(".py")?;
            let (name, ending) = rest.split_once(' ')?;
            let ending = match ending.split(' ').next()? {
                "PASSED" => Ending::Passed,
                "FAILED" | "ERROR" => Ending::Failed,
                "SKIPPED" => Ending::Ignored,
                _ => return None,
            };
            Some((name.to_owned(), ending))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_read_from_pytest() {
        let told = "collecting ... collected 3 items\n\ntests/test_x.py::A::test_b PASSED\ntests/test_x.py::A::test_c FAILED\n\
                    tests/test_x.py::A::test_d SKIPPED (why)\ntests/test_x.py:12: AssertionError\n";
        let endings = endings(told);
        assert_eq!(endings.len(), 3);
        assert_eq!(endings["A::test_b"], Ending::Passed);
        assert_eq!(endings["A::test_c"], Ending::Failed);
        assert_eq!(endings["A::test_d"], Ending::Ignored);
    }
}
