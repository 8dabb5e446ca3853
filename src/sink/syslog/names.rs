//! The addresses of a receiver, asked for in bounded time.
//!
//! The system's resolver may take minutes, and nobody can call it off. So it is asked in a thread of its own, one at a time; an
//! answer that comes too late for one attempt is there for the next.

use super::line::Trouble;
use crate::config::Remote;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// What came of a question.
type Answer = Result<Vec<SocketAddr>, String>;

/// Asks for the addresses of one receiver.
#[derive(Debug, Default)]
pub(super) struct Names {
    asked: Option<Receiver<Answer>>,
}

impl Names {
    /// The addresses in the order in which the system wants them to be tried, at least one.
    ///
    /// # Errors
    /// When there is none, or no answer within `patience`.
    pub(super) fn addresses(&mut self, remote: &Remote, patience: Duration) -> Result<Vec<SocketAddr>, Trouble> {
        if let Ok(address) = remote.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, remote.port)]);
        }
        let asked = match self.asked.take() {
            Some(asked) => asked,
            None => ask(remote.clone())?,
        };
        let why = match asked.recv_timeout(patience) {
            Ok(Ok(addresses)) if !addresses.is_empty() => return Ok(addresses),
            Ok(Ok(_)) => "it has no address".into(),
            Ok(Err(why)) => why,
            Err(RecvTimeoutError::Timeout) => {
                self.asked = Some(asked);
                "the name server does not answer".into()
            }
            Err(RecvTimeoutError::Disconnected) => "the question was lost".into(),
        };
        Err(Trouble::NoAddress(format!("the name {:?} cannot be resolved: {why}", remote.host)))
    }
}

fn ask(remote: Remote) -> Result<Receiver<Answer>, Trouble> {
    let (answer, asked) = bounded(1);
    let look_up = move || {
        let found = (remote.host.as_str(), remote.port).to_socket_addrs();
        // Nobody may wait for it any more.
        let _ = answer.send(found.map(Iterator::collect).map_err(|e| e.to_string()));
    };
    match std::thread::Builder::new().name("sink-names".into()).spawn(look_up) {
        Ok(_) => Ok(asked),
        Err(e) => Err(Trouble::NoAddress(format!("no thread to ask for the receiver's name: {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(host: &str) -> Remote {
        Remote { host: host.into(), port: 514 }
    }

    #[test]
    fn an_address_is_its_own_answer_and_a_name_has_some() {
        let mut names = Names::default();
        let of = |names: &mut Names, host: &str| {
            let found = names.addresses(&remote(host), Duration::from_secs(30)).unwrap();
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of(&mut names, "192.0.2.1"), ["192.0.2.1:514"]);
        assert_eq!(of(&mut names, "2001:db8::1"), ["[2001:db8::1]:514"]);
        assert!(of(&mut names, "localhost").contains(&"127.0.0.1:514".to_owned()));
        assert!(names.asked.is_none(), "nothing is left to be waited for");
    }

    #[test]
    fn an_answer_that_is_late_serves_the_next_attempt_and_nobody_is_asked_twice() {
        let (answer, asked) = bounded(1);
        let mut names = Names { asked: Some(asked) };
        for _ in 0..2 {
            let error = names.addresses(&remote("late.example"), Duration::from_millis(1)).unwrap_err();
            assert!(format!("{error:?}").contains("does not answer"), "{error:?}");
        }
        answer.send(Ok(vec![([192, 0, 2, 7], 514).into()])).unwrap();
        let found = names.addresses(&remote("late.example"), Duration::from_millis(1)).unwrap();
        assert_eq!(found, [SocketAddr::from(([192, 0, 2, 7], 514))]);
        for (given, wanted) in [(Ok(Vec::new()), "has no address"), (Err("unknown".to_owned()), "resolved: unknown")] {
            let (answer, asked) = bounded(1);
            names.asked = Some(asked);
            answer.send(given).unwrap();
            let error = names.addresses(&remote("late.example"), Duration::from_millis(1)).unwrap_err();
            assert!(format!("{error:?}").contains(wanted), "{error:?}");
        }
    }
}
