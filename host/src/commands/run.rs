//! `cardcage run`: from the file to the end of the pipeline.

use crate::assemble::{Assembled, all_problems, assemble};
use crate::cli::RunArguments;
use crate::commands::summary;
use crate::control::socket::SocketError;
use crate::control::{self, ControlError, Listening};
use crate::document::{self, Document, DocumentError};
use crate::logging::Filter;
use crate::report::say;
use crate::signals::{self, Drain};
use crate::state_directory::{StateDirectory, StateError};
use crate::{dry_run, exit, listeners, logging, report};
use cardcage_core::codes;
use cardcage_core::config::Config;
use cardcage_core::config::Secrets;
use cardcage_core::config::quantity::show_duration;
use cardcage_core::diagnostic::{Diagnostic, Diagnostics};
use cardcage_runtime::{
    CallError, Cancel, Dictionary, DictionaryLimits, Environment, Keeper, Pipeline, PipelineError, Policy,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The folder of the audit trail, in the state directory.
pub(crate) const AUDIT_FOLDER: &str = "audit";

/// Runs a pipeline.
pub(crate) fn run(arguments: &RunArguments) -> ExitCode {
    let ended = try_run(arguments);
    match &ended {
        Ok(_) => {}
        Err(RunError::Refused(problems)) => report::problems(problems),
        Err(error) => report::failure(&format!("{error}\n")),
    }
    logging::finish();
    match ended {
        // At once, without what libraries have registered for the end of the process: every component is closed, and a
        // thread that had to be left behind may still be running in one of them.
        Ok(code) => signal_hook::low_level::exit(i32::from(code)),
        Err(error) => ExitCode::from(error.exit_code()),
    }
}

/// Why a pipeline did not run.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("{0}")]
    Refused(Diagnostics),
    #[error("{0}")]
    Io(String),
    #[error(transparent)]
    Pipeline(PipelineError),
}

impl RunError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Document(DocumentError::NoFile) => exit::USAGE,
            Self::Document(DocumentError::Unreadable { .. })
            | Self::State(StateError::Io { .. })
            | Self::Io(_)
            | Self::Control(
                ControlError::Metrics { .. }
                | ControlError::Thread(_)
                | ControlError::Socket(SocketError::NoSocket(_) | SocketError::Io { .. }),
            ) => exit::IO,
            Self::Document(DocumentError::Refused { .. }) | Self::Refused(_) => exit::REFUSED,
            Self::State(StateError::Held(_)) | Self::Control(ControlError::Socket(SocketError::Live(_))) => {
                exit::HELD
            }
            Self::Control(ControlError::Socket(SocketError::Group(_) | SocketError::TooLong(_))) => {
                exit::REFUSED
            }
            Self::Pipeline(_) => exit::SOFTWARE,
        }
    }
}

fn try_run(arguments: &RunArguments) -> Result<u8, RunError> {
    let Document { folder, config } = document::read(arguments.file.as_deref()).map_err(with_plugins)?;
    let summary_path = arguments.summary_json.as_deref().map(std::path::absolute).transpose();
    let summary_path = summary_path.map_err(|error| RunError::Io(format!("--summary-json: {error}")))?;
    let filter = logging::start(&config);
    end_on_host_panic();
    // Relative paths, in the file and in plugins' settings, start from the file and not from wherever the daemon was
    // started, so that a pipeline means the same under a service manager.
    std::env::set_current_dir(&folder)
        .map_err(|error| RunError::Io(format!("{}: {error}", folder.display())))?;
    // Before any child is started, which would inherit them.
    let listeners = listeners::take();
    let drain = Drain::default();
    signals::listen(&drain).map_err(|error| RunError::Io(format!("no signals: {error}")))?;
    let home = Home::of(&folder.join(&config.state_directory), arguments.dry_run)?;
    let environment = Arc::new(Environment::with_listeners(
        Arc::new(Dictionary::new(DictionaryLimits {
            sensors: config.limits.sensors,
            units: config.limits.units,
        })),
        Arc::new(Cancel::default()),
        home.state().to_owned(),
        listeners,
    ));
    let mut assembled =
        assemble(config, &folder, home.verdicts(), &environment).map_err(RunError::Refused)?;
    report::problems(&assembled.config.warnings);
    if arguments.dry_run.is_some() {
        dry_run::print_instead(&mut assembled);
    }
    // A rehearsal is nobody's daemon: the one that it rehearses for may be running.
    let real = arguments.dry_run.is_none();
    let listening =
        real.then(|| control::listen(&assembled.config.control, &folder, home.state())).transpose()?;
    let reach = listening.map(|listening| (listening, filter));
    carry_out(assembled, &environment, &drain, reach, arguments.dry_run, summary_path.as_deref())
}

/// Where a run keeps what outlives it.
enum Home {
    /// The state directory, held.
    Own(StateDirectory),
    /// A folder that goes with the rehearsal, and the verdicts of earlier runs if there are any.
    Borrowed { state: TempDir, verdicts: Option<PathBuf> },
}

impl Home {
    fn of(state: &Path, dry_run: Option<Duration>) -> Result<Self, RunError> {
        if dry_run.is_none() {
            return Ok(Self::Own(StateDirectory::hold(state)?));
        }
        let folder = tempfile::Builder::new().prefix("cardcage-dry-run-").tempdir();
        let folder = folder.map_err(|error| RunError::Io(format!("no folder for the rehearsal: {error}")))?;
        Ok(Self::Borrowed { state: folder, verdicts: state.is_dir().then(|| state.to_owned()) })
    }

    fn state(&self) -> &Path {
        match self {
            Self::Own(state) => &state.path,
            Self::Borrowed { state, .. } => state.path(),
        }
    }

    fn verdicts(&self) -> Option<&Path> {
        match self {
            Self::Own(state) => Some(&state.path),
            Self::Borrowed { verdicts, .. } => verdicts.as_deref(),
        }
    }
}

/// A refused config is shown with what its plugins have against it, too.
fn with_plugins(error: DocumentError) -> RunError {
    match error {
        DocumentError::Refused { folder, refused } => RunError::Refused(all_problems(*refused, &folder)),
        error => error.into(),
    }
}

fn carry_out(
    assembled: Assembled,
    environment: &Arc<Environment>,
    drain: &Drain,
    reach: Option<(Listening, Filter)>,
    dry_run: Option<Duration>,
    summary_path: Option<&Path>,
) -> Result<u8, RunError> {
    let Assembled { config, graph, parts } = assembled;
    let checkpoint_every = config.checkpoint_every;
    let count = graph.nodes.len();
    // What a rehearsal changes is nobody's business later, and its state directory goes with it.
    let keeper = dry_run.is_none().then(|| keep_trail(&config, environment)).transpose()?;
    let pipeline = match Pipeline::start(graph, parts, environment, |handle| drain.set(handle)) {
        Ok(pipeline) => pipeline,
        Err(PipelineError::Open(errors)) => {
            let mut diagnostics = open_errors(&config, &errors);
            config.quote(&mut diagnostics);
            return Err(RunError::Refused(diagnostics));
        }
        Err(error) => return Err(RunError::Pipeline(error)),
    };
    let serving =
        reach.map(|(listening, filter)| listening.serve(&config, pipeline.live(), filter)).transpose()?;
    let started = Instant::now();
    let summary = if let Some(how_long) = dry_run {
        tracing::info!("rehearsing {} for {}; sinks print", config.file, show_duration(how_long));
        dry_run::end_after(how_long, &environment.cancel, pipeline.drain_handle())
            .map_err(|error| RunError::Io(format!("no thread to end the rehearsal: {error}")))?;
        pipeline.rehearse(checkpoint_every)
    } else {
        tracing::info!("running {} with {count} components; Ctrl-C drains", config.file);
        pipeline.run(checkpoint_every)
    };
    for imbalance in summary.books.imbalances() {
        tracing::error!("imbalance: {imbalance}");
    }
    drop(serving);
    // Nothing writes to a metric any more.
    drop(keeper);
    let took = started.elapsed();
    let unaudited = environment.trail.status().stuck;
    let code = summary::exit_code(&summary, unaudited.is_some());
    // The file first: it must be written even if nobody reads stderr any more.
    let written = summary_path.map_or(Ok(()), |path| {
        let json = summary::json(&summary, unaudited.as_deref(), code, took);
        std::fs::write(path, json).map_err(|error| RunError::Io(format!("{}: {error}", path.display())))
    });
    say(&summary::render(&summary, unaudited.as_deref(), took));
    if dry_run.is_some() {
        say("a rehearsal: what counts as delivered was printed, and no source was told that it is safe\n");
    }
    written.map(|()| code)
}

/// Begins to keep the audit trail, in the state directory.
fn keep_trail(config: &Config, environment: &Environment) -> Result<Keeper, RunError> {
    let audit = &config.audit;
    let policy = Policy {
        folder: environment.state_directory.join(AUDIT_FOLDER),
        detail: audit.detail,
        max_entries_per_second: audit.max_entries_per_second,
        rotate_bytes: audit.rotate_bytes,
        rotate_every: audit.rotate_every,
        keep: audit.keep,
        sync: audit.sync,
    };
    let kept = environment.trail.keep(policy, &environment.metrics, env!("CARGO_PKG_VERSION"));
    kept.map_err(|error| RunError::Io(error.to_string()))
}

fn open_errors(config: &Config, errors: &[(usize, CallError)]) -> Diagnostics {
    let secrets = Secrets::of(config);
    let each = errors.iter().map(|(node, error)| {
        let component = &config.components[*node];
        let message = format!("`{}` did not open: {}", component.name, secrets.mask(&error.message));
        Diagnostic::error(codes::OPEN_FAILED, message).at(component.location.clone())
    });
    each.collect()
}

/// A panic of the host is a bug that must not leave half a pipeline running: the process ends, for the service manager
/// to start anew. Plugins' panics never get here: each library has its own hook, and the SDK catches them.
fn end_on_host_panic() {
    std::panic::set_hook(Box::new(|panic| {
        report::last_words(&format!(
            "cardcage: {panic}\nthis is a bug of cardcage itself; please report it with the lines above\n"
        ));
        signal_hook::low_level::exit(i32::from(exit::SOFTWARE));
    }));
}
