//! Where syslog messages go: the text of `sink.syslog.target`, taken apart. Every wrong text is answered with a right one.
//!
//! Resolves no name, opens no socket: whether somebody listens there is found out when there is something to send.

use crate::content::fault::suggest;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// The longest path that fits into the address of a unix socket, bytes.
pub(super) const MAX_SOCKET_PATH: usize = 107;
/// The longest name of a host, bytes.
const MAX_NAME: usize = 253;
/// All forms, for whoever wrote none of them.
const FORMS: &str = "\"/dev/log\", \"unix:///path\", \"udp://host:514\" or \"tcp://host:601\"";

/// A receiver of syslog messages, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTarget {
    /// A path: the socket of this machine's daemon, in the local form of RFC 3164.
    Local(PathBuf),
    /// `unix://` and a path: a unix socket, in the form of RFC 5424.
    Unix(PathBuf),
    /// `udp://host:port`: one datagram a message, RFC 5424 over RFC 5426.
    Udp(Remote),
    /// `tcp://host:port`: counted messages in a stream, RFC 5424 over RFC 6587.
    Tcp(Remote),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// A name or an address, an IPv6 address without its brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

impl SyslogTarget {
    /// Takes a text apart.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead, behind the name of the setting.
    pub fn parse(text: &str) -> Result<SyslogTarget, String> {
        if text.is_empty() {
            return Err(format!("target is empty; write {FORMS}"));
        }
        // A message about it is shown on terminals.
        if text.chars().any(char::is_control) {
            return Err(format!("target {text:?} holds a control character; write {FORMS}"));
        }
        if text.starts_with('/') {
            return socket_path(text).map(SyslogTarget::Local);
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Err(without_scheme(text)) };
        match scheme {
            "unix" if rest.starts_with('/') => socket_path(rest).map(SyslogTarget::Unix),
            "unix" => Err(format!("target {text:?} has no absolute path; write \"unix:///{rest}\"")),
            "udp" => Remote::parse("udp", rest).map(SyslogTarget::Udp),
            "tcp" => Remote::parse("tcp", rest).map(SyslogTarget::Tcp),
            "tls" | "ssl" | "tcp+tls" | "tls+tcp" => Err(format!(
                "target {text:?} asks for TLS, which the agent does not speak; write \"/dev/log\" and let the syslog daemon of this machine forward with TLS"
            )),
            _ => {
                let known = suggest(scheme, ["unix", "udp", "tcp"]);
                Err(format!("target {text:?} begins with an unknown {scheme:?}{known}"))
            }
        }
    }

    /// Whether it is reached through the network.
    pub const fn is_remote(&self) -> bool {
        matches!(self, SyslogTarget::Udp(_) | SyslogTarget::Tcp(_))
    }
}

impl fmt::Display for SyslogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyslogTarget::Local(path) => write!(f, "{}", path.display()),
            SyslogTarget::Unix(path) => write!(f, "unix://{}", path.display()),
            SyslogTarget::Udp(remote) => write!(f, "udp://{remote}"),
            SyslogTarget::Tcp(remote) => write!(f, "tcp://{remote}"),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remote { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Remote {
    /// Reads what follows `udp://` or `tcp://`.
    fn parse(scheme: &str, text: &str) -> Result<Remote, String> {
        let target = format!("target \"{scheme}://{text}\"");
        let usual = usual_port(scheme);
        if let Some(end) = text.find(['/', '?', '#']) {
            let kept = text.get(..end).unwrap_or_default();
            return Err(format!("{target} goes on behind the port; write \"{scheme}://{}\"", with_port(kept, usual)));
        }
        if let Some((_, host)) = text.split_once('@') {
            return Err(format!("{target} names a user; write \"{scheme}://{}\"", with_port(host, usual)));
        }
        if text.parse::<Ipv6Addr>().is_ok() || text.matches(':').count() > 1 && !text.starts_with('[') {
            return Err(format!(
                "{target} has an IPv6 address without brackets; write \"{scheme}://[2001:db8::1]:{usual}\" with yours"
            ));
        }
        let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, port))) if host.parse::<Ipv6Addr>().is_ok() => (host, port),
            Some(_) => {
                return Err(format!(
                    "{target} has no IPv6 address in its brackets; write \"{scheme}://[2001:db8::1]:{usual}\" with yours"
                ));
            }
            None => {
                let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                check_host(host)
                    .map_err(|why| format!("{target} {why}; write \"{scheme}://host:{usual}\" with its name"))?;
                (host, port)
            }
        };
        let whole = |port: u16| Remote { host: host.to_owned(), port };
        let advice = format!("write \"{scheme}://{}\"", whole(usual));
        match port.strip_prefix(':') {
            None if port.is_empty() => Err(format!("{target} has no port; {advice}")),
            None => Err(format!("{target} has no ':' before its port; {advice}")),
            Some(port) => {
                let digits = port.bytes().all(|b| b.is_ascii_digit());
                let number = port.parse::<u16>().ok().filter(|n| digits && *n > 0);
                let wrong = || format!("{target}: port {port:?} is no number from 1 to 65535; {advice}");
                number.map(whole).ok_or_else(wrong)
            }
        }
    }
}

/// The port to suggest. Over TCP 514 is as common, but the registry of ports gives it to another service.
fn usual_port(scheme: &str) -> u16 {
    if scheme == "udp" { 514 } else { 601 }
}

fn with_port(host: &str, usual: u16) -> String {
    let host = if host.is_empty() { "host" } else { host };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { host.to_owned() } else { format!("{host}:{usual}") }
}

fn socket_path(path: &str) -> Result<PathBuf, String> {
    match path.len() {
        0..=MAX_SOCKET_PATH => Ok(PathBuf::from(path)),
        bytes => Err(format!("target has {bytes} bytes; the path of a socket holds at most {MAX_SOCKET_PATH}")),
    }
}

/// What is wrong with a text that is neither a path nor begins with a scheme.
fn without_scheme(text: &str) -> String {
    if let Some((scheme @ ("unix" | "udp" | "tcp"), rest)) = text.split_once(':') {
        let rest = rest.trim_start_matches('/');
        return match scheme {
            "unix" => format!("target {text:?} lacks \"//\"; write \"unix:///{rest}\""),
            _ => format!("target {text:?} lacks \"//\"; write \"{scheme}://{}\"", with_port(rest, usual_port(scheme))),
        };
    }
    if text.contains('/') || !text.contains(['.', ':']) && check_host(text).is_err() {
        return format!("target {text:?} is no absolute path; write {FORMS}");
    }
    format!(
        "target {text:?} does not say how to reach it; write \"udp://{}\", \"tcp://{}\", or an absolute path",
        with_port(text, 514),
        with_port(text, 601)
    )
}

/// Whether a text can be a host: an IPv4 address, or labels of letters, digits, `-` and `_`.
fn check_host(host: &str) -> Result<(), String> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let label =
        |l: &str| (1..=63).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if host.is_empty() {
        return Err("has no host".into());
    }
    if !host.is_ascii() {
        return Err(format!("has the host {host:?}; write it as xn--…"));
    }
    if name.len() > MAX_NAME || !name.split('.').all(label) {
        return Err(format!("has {host:?} for a host, which is no name"));
    }
    // A resolver would make something of 10.1 and of 10.0.0.256, and seldom what was meant.
    if name.bytes().all(|b| b.is_ascii_digit() || b == b'.') && host.parse::<Ipv4Addr>().is_err() {
        return Err(format!("has {host:?} for a host, which is no IPv4 address"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(host: &str, port: u16) -> Remote {
        Remote { host: host.into(), port }
    }

    #[test]
    fn each_form_is_read_and_written_back() {
        for (text, target) in [
            ("/dev/log", SyslogTarget::Local("/dev/log".into())),
            ("unix:///run/collector.sock", SyslogTarget::Unix("/run/collector.sock".into())),
            ("udp://syslog.example.com:514", SyslogTarget::Udp(remote("syslog.example.com", 514))),
            ("udp://192.0.2.10:5514", SyslogTarget::Udp(remote("192.0.2.10", 5514))),
            ("tcp://collector_1:601", SyslogTarget::Tcp(remote("collector_1", 601))),
            ("tcp://[2001:db8::1]:601", SyslogTarget::Tcp(remote("2001:db8::1", 601))),
            ("tcp://a.example.:65535", SyslogTarget::Tcp(remote("a.example.", 65_535))),
        ] {
            assert_eq!(SyslogTarget::parse(text), Ok(target.clone()), "{text}");
            assert_eq!(target.to_string(), text);
            assert_eq!(target.is_remote(), text.starts_with("udp") || text.starts_with("tcp"), "{text}");
        }
    }

    #[test]
    fn each_wrong_form_is_refused_with_a_right_one() {
        for (text, wanted) in [
            ("", "target is empty; write \"/dev/log\", \"unix:///path\", \"udp://host:514\" or \"tcp://host:601\""),
            ("/dev/\u{1b}[2J", "target \"/dev/\\u{1b}[2J\" holds a control character; write \"/dev/log\""),
            ("dev/log", "target \"dev/log\" is no absolute path; write \"/dev/log\""),
            ("unix://run/x", "target \"unix://run/x\" has no absolute path; write \"unix:///run/x\""),
            ("unix:/run/x", "target \"unix:/run/x\" lacks \"//\"; write \"unix:///run/x\""),
            ("udp:host", "target \"udp:host\" lacks \"//\"; write \"udp://host:514\""),
            ("tcp:host:99", "write \"tcp://host:99\""),
            ("host.example:514", "write \"udp://host.example:514\", \"tcp://host.example:514\", or an absolute path"),
            ("loghost", "write \"udp://loghost:514\", \"tcp://loghost:601\", or an absolute path"),
            ("UDP://host:514", "begins with an unknown \"UDP\"; did you mean \"udp\"?"),
            ("http://host:514", "begins with an unknown \"http\"; one of: unix, udp, tcp"),
            ("tls://host:6514", "asks for TLS, which the agent does not speak; write \"/dev/log\""),
            ("udp://", "target \"udp://\" has no host; write \"udp://host:514\""),
            ("udp://host", "target \"udp://host\" has no port; write \"udp://host:514\""),
            ("tcp://host", "write \"tcp://host:601\""),
            ("tcp://host:", "port \"\" is no number from 1 to 65535; write \"tcp://host:601\""),
            ("tcp://host:0", "port \"0\" is no number from 1 to 65535"),
            ("tcp://host:+1", "port \"+1\" is no number from 1 to 65535"),
            ("tcp://host:65536", "port \"65536\" is no number"),
            ("tcp://host:601/", "goes on behind the port; write \"tcp://host:601\""),
            ("tcp://u:p@host:601", "names a user; write \"tcp://host:601\""),
            ("tcp://2001:db8::1", "has an IPv6 address without brackets; write \"tcp://[2001:db8::1]:601\""),
            ("udp://2001:db8::1:514", "without brackets; write \"udp://[2001:db8::1]:514\""),
            ("udp://[host]:514", "no IPv6 address in its brackets"),
            ("udp://[::1:514", "no IPv6 address in its brackets"),
            ("udp://[::1]514", "has no ':' before its port; write \"udp://[::1]:514\""),
            ("udp://[::1]", "has no port; write \"udp://[::1]:514\""),
            ("udp://10.0.0.256:514", "\"10.0.0.256\" for a host, which is no IPv4 address"),
            ("udp://10.1:514", "which is no IPv4 address"),
            ("udp://bücher.example:514", "write it as xn--…"),
            ("udp://a..b:514", "\"a..b\" for a host, which is no name"),
            ("udp://a b:514", "\"a b\" for a host, which is no name"),
        ] {
            let fault = SyslogTarget::parse(text).expect_err(text);
            assert!(fault.contains(wanted), "{text:?}\ngave {fault}");
            assert!(fault.starts_with("target "), "{fault}");
        }
        for long in [format!("/{}", "x".repeat(107)), format!("unix:///{}", "x".repeat(107))] {
            assert!(
                SyslogTarget::parse(&long).unwrap_err().contains("108 bytes; the path of a socket holds at most 107")
            );
        }
    }
}
