//! Starts that are refused: what cannot be opened, and what the config must not say.

use super::{GET, Watched};
use crate::site::{Site, wait};
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::Command;

fn run(site: &Site, command: &str) -> (i32, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_exfil-agent"))
        .args([command, "--config"])
        .arg(site.config())
        .output()
        .unwrap();
    (out.status.code().unwrap(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn what_cannot_be_opened_refuses_the_start_and_is_said() {
    let watched = Watched::new();
    let Watched { site, port } = &watched;
    let taken = TcpListener::bind(port).unwrap();
    let (code, said) = run(site, "run");
    assert_eq!(code, 73, "{said}");
    let wanted = format!(
        "metrics.listen {port}: Address already in use (os error 98); another program listens there; stop it or choose another port"
    );
    assert!(said.contains(&wanted), "{said}");
    drop(taken);

    fs::write(watched.socket(), "precious").unwrap();
    let (code, said) = run(site, "run");
    assert_eq!(code, 73, "{said}");
    let wanted = format!(
        "metrics.socket {}: it exists and is no socket; the directory must exist and be ours",
        watched.socket().display()
    );
    assert!(said.contains(&wanted), "{said}");
    assert_eq!(fs::read(watched.socket()).unwrap(), b"precious");
    fs::remove_file(watched.socket()).unwrap();

    let listening = UnixListener::bind(watched.socket()).unwrap();
    let (code, said) = run(site, "run");
    assert_eq!(code, 73, "{said}");
    assert!(said.contains("another agent answers on it"), "{said}");
    drop(listening); // a dead socket is replaced

    fs::create_dir(watched.file()).unwrap();
    let (code, said) = run(site, "run");
    assert_eq!(code, 73, "{said}");
    assert!(
        said.contains(&format!("metrics.textfile {}: ", watched.file().display())) && said.contains("ReadWritePaths="),
        "{said}"
    );
    fs::remove_dir(watched.file()).unwrap();

    let daemon = watched.start();
    assert!(watched.ask_port(GET).starts_with("HTTP/1.1 200 "));
    // A file that cannot be written any more is said once, and again when it can.
    fs::remove_file(watched.file()).unwrap();
    fs::create_dir(watched.file()).unwrap();
    fs::write(watched.file().join("x"), "").unwrap();
    wait("the trouble to be said", || site.log().contains("tried again every 1 s"));
    fs::remove_dir_all(watched.file()).unwrap();
    wait("the file", || site.log().contains("is written again") && watched.file().is_file());
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_port_for_the_network_is_refused_with_its_line() {
    let site = Site::new();
    let lines = fs::read_to_string(site.config()).unwrap().lines().count();
    site.configure("[metrics]\nlisten = \"0.0.0.0:9184\"\n");
    for command in ["check", "run"] {
        let (code, said) = run(&site, command);
        assert_eq!(code, 78, "{said}");
        let wanted = format!(
            "[metrics] ({}:{}): listen \"0.0.0.0:9184\" is no loopback address: whoever reaches it over the network could read \
             the metrics; write \"127.0.0.1:9184\", and let something with encryption and passwords carry them on",
            site.config().display(),
            lines + 2
        );
        assert!(said.contains(&wanted), "{said}");
    }
}
