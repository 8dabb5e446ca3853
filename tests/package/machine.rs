//! A small Debian in a directory, entered by chroot, with a systemctl that only writes down what it is asked.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Gives each process a /proc and a /dev of the machine that vanish with it, then becomes it.
const ENTER: &str = r#"root=$1; shift
mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && exec chroot "$root" "$@""#;

/// What systemctl does on a machine without systemd: the service as its unit says, in the background. Like `Type=notify`, a
/// start ends when the agent answers.
const SERVICE: &str = r#"#!/bin/sh
for word; do case $word in start|stop|restart|reload|enable|daemon-reload) todo=$word;; esac; done
case $todo in stop|restart) kill "$(cat /tmp/agent.pid)"; while kill -0 "$(cat /tmp/agent.pid)" 2>/dev/null; do sleep 0.1; done;; esac
case $todo in start|restart|enable)
    install --directory --mode=750 --owner=exfil-agent --group=exfil-agent /run/exfil-agent
    setpriv --reuid=exfil-agent --regid=exfil-agent --groups=adm --no-new-privs \
        sh -c 'echo $$ >/tmp/agent.pid.new; exec exfil-agent run --config /etc/exfil-agent/exfil-agent.toml' >/dev/null 2>>/tmp/agent.log </dev/null &
    n=0
    until agentctl status >/dev/null 2>&1 && [ -S /run/exfil-agent/control.sock ]; do
        n=$((n + 1)); [ $n -lt 300 ] || { cat /tmp/agent.log >&2; exit 1; }
        sleep 0.1
    done
    mv -f /tmp/agent.pid.new /tmp/agent.pid;;
reload) agentctl reload;;
esac
"#;

/// Removed when dropped.
pub struct Machine {
    dir: TempDir,
}

impl Machine {
    /// Of the release that runs here, with what the package depends on. An error says why this machine cannot have one.
    pub fn new() -> Result<Machine, String> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let Some(suite) = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")) else {
            return Err("/etc/os-release names no Debian release".to_owned());
        };
        let machine = Machine { dir: TempDir::new().map_err(|e| e.to_string())? };
        let root = machine.dir.path().join("root");
        let made = Command::new("mmdebstrap")
            .args(["--mode=root", "--variant=minbase", "--include=systemd,logrotate", suite])
            .arg(&root)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("mmdebstrap: {e}"))?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr);
            return Err(format!("mmdebstrap: {}", said.lines().last().unwrap_or_default()));
        }
        let entered = machine.enter(&["true"]).output().map_err(|e| format!("unshare: {e}"))?;
        if !entered.status.success() {
            return Err(format!("a chroot cannot be entered: {}", String::from_utf8_lossy(&entered.stderr).trim()));
        }
        // Maintainer scripts ask whether this directory exists to know whether systemd runs.
        fs::create_dir_all(machine.path("run/systemd/system")).map_err(|e| e.to_string())?;
        let systemctl = machine.path("usr/local/bin/systemctl");
        fs::write(&systemctl, "#!/bin/sh\necho \"$*\" >>/tmp/asked\n").map_err(|e| e.to_string())?;
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())?;
        Ok(machine)
    }

    /// From now on systemctl starts, stops and reloads the service, as far as that goes without systemd.
    pub fn with_a_service(self) -> Machine {
        fs::write(self.path("usr/local/bin/systemctl"), SERVICE).unwrap();
        self
    }

    /// Runs lines of a document as root, all of them to success, and gives what they write.
    pub fn follow(&self, script: &str) -> String {
        fs::write(self.path("tmp/script"), script).unwrap();
        let output = self.enter(&["sh", "-e", "-c", "cd /root; . /tmp/script"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = || fs::read_to_string(self.path("tmp/agent.log")).unwrap_or_default();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}\n{errors}\nthe agent said:\n{}", log());
        said
    }

    /// A path of the machine, seen from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join("root").join(inside)
    }

    fn enter(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", ENTER, "enter"]).arg(self.path("")).args(words);
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive").env_remove("TMPDIR").stdin(Stdio::null());
        command
    }

    /// Runs a command as root, which must succeed; gives what it writes.
    pub fn run(&self, words: &[&str]) -> String {
        let output = self.enter(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Runs dpkg, with a package from outside if there is one.
    pub fn dpkg(&self, arguments: &[&str], package: Option<&Path>) -> String {
        let mut words = [&["dpkg"], arguments].concat();
        if let Some(package) = package {
            fs::copy(package, self.path("tmp/package.deb")).unwrap();
            words.push("/tmp/package.deb");
        }
        self.run(&words)
    }

    /// The package once more, with a later version and another text of a settings file.
    pub fn newer(&self, package: &Path, settings: &str) -> PathBuf {
        let tree = self.dir.path().join("newer");
        let build = |arguments: &[&std::ffi::OsStr]| {
            let output = Command::new("dpkg-deb").args(arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        build(&["--raw-extract".as_ref(), package.as_ref(), tree.as_ref()]);
        let change = |path: PathBuf, change: &dyn Fn(&str) -> String| {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, change(&text)).unwrap();
        };
        change(tree.join(settings), &|text| format!("{text}\n# of the newer package\n"));
        change(tree.join("DEBIAN/control"), &|text| {
            let version = text.lines().find(|line| line.starts_with("Version: ")).unwrap();
            text.replace(version, &format!("{version}.1"))
        });
        let newer = self.dir.path().join("newer.deb");
        build(&["--root-owner-group".as_ref(), "-Znone".as_ref(), "--build".as_ref(), tree.as_ref(), newer.as_ref()]);
        newer
    }

    /// What systemd was asked to do since this was called last.
    pub fn asked_of_systemd(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.path("tmp/asked")).unwrap_or_default();
        let _ = fs::remove_file(self.path("tmp/asked"));
        asked.lines().map(str::to_owned).collect()
    }

    pub fn uid(&self, user: &str) -> u32 {
        self.run(&["id", "--user", user]).trim().parse().unwrap()
    }

    /// The daemon, as the unit's user with the unit's groups and the directory that the unit makes.
    pub fn start(&self) -> Daemon {
        let runtime = ["--directory", "--mode=750", "--owner=exfil-agent", "--group=exfil-agent", "/run/exfil-agent"];
        self.run(&[&["install"], &runtime[..]].concat());
        let as_user = ["setpriv", "--reuid=exfil-agent", "--regid=exfil-agent", "--groups=adm", "--no-new-privs"];
        let run = ["exfil-agent", "run", "--config", "/etc/exfil-agent/exfil-agent.toml"];
        let log = self.dir.path().join("log");
        let words = [&as_user[..], &run[..]].concat();
        let to = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = self.enter(&words).stderr(to).spawn().unwrap();
        Daemon { child, log }
    }

    /// Adds a line to the spool, about a program that was started just now.
    pub fn feed(&self, program: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let line = format!(
            "CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\\t\\{program}|5|start={now} Device_Name=CORP\\WS1 \
             User_Name=CORP\\user1 reason={program} http 8080 outcome=Success\n"
        );
        let spool = self.path("var/spool/dtex/a.cef");
        let mut file = OpenOptions::new().create(true).append(true).open(&spool).unwrap();
        file.write_all(line.as_bytes()).unwrap();
        self.run(&["chgrp", "adm", "/var/spool/dtex/a.cef"]);
        fs::set_permissions(&spool, fs::Permissions::from_mode(0o640)).unwrap();
    }

    /// Lines of the alert file.
    pub fn alerts(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("var/log/exfil-agent/alerts.jsonl")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What systemctl has started; a test that fails leaves it running.
        if let Ok(pid) = fs::read_to_string(self.path("tmp/agent.pid")) {
            let _ = Command::new("kill").args(["-KILL", pid.trim()]).stderr(Stdio::null()).status();
        }
    }
}

/// Killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(120), "{what} did not come; the daemon said:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until it ends by itself: its exit code, and what all daemons of this machine have said so far.
    pub fn end(mut self) -> (Option<i32>, String) {
        let log = || fs::read_to_string(&self.log).unwrap_or_default();
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), log());
            }
            assert!(began.elapsed() < Duration::from_secs(120), "the daemon goes on; it said:\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it as systemd does.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}:\n{}", fs::read_to_string(&self.log).unwrap_or_default());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
