//! Target `control`: whatever a client of the control socket writes, each request gets one answer, and the agent goes on.
//!
//! Through the real socket of an agent that follows nothing, started once.

use crate::config::Settings;
use crate::control::{Control, Request, Response, serve};
use crate::pipeline::detecting::TimeSource;
use crate::pipeline::opening::StatePlan;
use crate::pipeline::restoring::Others;
use crate::pipeline::{Pipeline, Plan};
use crate::source::Mode;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

struct Agent {
    settings: Settings,
    _pipeline: Pipeline,
    _control: Control,
}

/// Starts the agent in a directory of its own below the one for temporary files.
fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let dir = std::env::temp_dir().join(format!("exfil-agent-fuzz-control-{}", std::process::id()));
        if let Err(e) = std::fs::create_dir_all(&dir) {
            panic!("{}: {e}", dir.display());
        }
        let mut settings = Settings::default();
        settings.control.socket = dir.join("control.sock");
        settings.state.dir = dir.join("state");
        settings.limits.workers = 1;
        let content = match crate::content::load(&settings.detection) {
            Ok(content) => content,
            Err(faults) => panic!("{faults}"),
        };
        let plan = Plan {
            settings: settings.clone(),
            content: Arc::new(content),
            directory: None,
            mode: Mode::Live(Vec::new()),
            state: Some(StatePlan::new(settings.state.dir.clone(), &settings, false)),
            others: Others::AtOnce,
            sinks: Vec::new(),
            time: TimeSource::Fixed(1_600_000_000_000),
            drain_fully: false,
        };
        let serving = |pipeline| serve(&settings.control.socket).map(|(control, _)| (pipeline, control));
        match Pipeline::start(plan, Box::new(|_| {})).and_then(serving) {
            Ok((pipeline, control)) => {
                control.attach(&pipeline);
                Agent { settings, _pipeline: pipeline, _control: control }
            }
            Err(failure) => panic!("{failure}"),
        }
    })
}

/// The target.
pub fn control(data: &[u8]) {
    let agent = agent();
    let asked = ask(agent, data);
    // A client that hangs up in the middle of a request has asked nothing.
    let lines: Vec<&[u8]> = data.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n")).collect();
    assert!(asked.len() <= lines.len(), "no more answers than requests");
    assert!(asked.is_empty() == lines.is_empty(), "a request gets an answer");
    for (line, response) in lines.iter().zip(&asked) {
        let refused = matches!(response, Response::Refused { .. });
        let request = serde_json::from_slice::<Request>(line).ok();
        match request {
            None => assert!(refused, "what is no request is refused"),
            Some(Request::Change(_)) => assert!(refused, "nobody here makes changes"),
            Some(Request::Live) => assert!(matches!(response, Response::Live(_)), "{response:?}"),
            Some(request @ Request::Scan { .. }) => {
                let again = serde_json::to_vec(&request).ok().and_then(|t| serde_json::from_slice(&t).ok());
                assert_eq!(again, Some(request));
                assert!(refused || matches!(response, Response::Records { .. }), "{response:?}");
            }
        }
    }
}

/// Writes everything, then reads answers until the agent closes.
fn ask(agent: &Agent, data: &[u8]) -> Vec<Response> {
    // The clients of earlier inputs may still be on their way out.
    for _ in 0..1000 {
        match try_ask(agent, data) {
            Ok(answers) if answers.iter().any(is_busy) => std::thread::sleep(Duration::from_micros(200)),
            Ok(answers) => return answers,
            Err(e) => panic!("the control socket: {e}"),
        }
    }
    panic!("the control socket stays busy");
}

fn is_busy(response: &Response) -> bool {
    // At the end only: a refusal may repeat what the client has written.
    matches!(response, Response::Refused(refusal) if refusal.why.ends_with("; try again"))
}

fn try_ask(agent: &Agent, data: &[u8]) -> std::io::Result<Vec<Response>> {
    let mut stream = UnixStream::connect(&agent.settings.control.socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    // An agent that has refused may hang up before everything is written.
    let _ = stream.write_all(data).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut text = Vec::new();
    if let Err(e) = stream.read_to_end(&mut text)
        && e.kind() != std::io::ErrorKind::ConnectionReset
    {
        return Err(e);
    }
    let answers = text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    answers.map(|line| serde_json::from_slice(line).map_err(std::io::Error::from)).collect()
}
