//! The twenty rules by the ids under which their alerts are expected, and how an alert of each is told from the next.

macro_rules! rules {
    ($($variant:ident = $id:literal, $entity:ident, $period:ident;)+) => {
        /// A rule that the plan expects to fire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Rule { $($variant),+ }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant),+];
            /// Its id.
            pub const fn id(self) -> &'static str { match self { $(Rule::$variant => $id),+ } }
            /// Whom it accuses.
            pub const fn entity(self) -> Entity { match self { $(Rule::$variant => Entity::$entity),+ } }
            /// How often it may fire for the same entity and value.
            pub const fn period(self) -> Period { match self { $(Rule::$variant => Period::$period),+ } }
        }
    };
}

/// Whom a rule accuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entity {
    /// The account.
    User,
    /// The machine.
    Host,
}

/// How often a rule fires for one entity and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Once a calendar day.
    Day,
    /// Once a calendar month.
    Month,
}

rules! {
    TempFirst = "FA-TEMP-DIRECTORY-F", User, Day;
    TempAbnormal = "FA-TEMP-DIRECTORY-A", User, Day;
    Ftp = "ATP-FTP-Exfil", User, Day;
    Certutil = "Certutil-Encode", User, Day;
    CertutilAsset = "A-Certutil-Encode", Host, Day;
    DnsTools = "DNS-Exfiltration-Tools-Exec", User, Day;
    Tap = "Tap-Installer", User, Day;
    Tunnel = "Exfil-Tunnel-Tools-Exec", User, Day;
    Sniff = "NSniff-Cred", User, Day;
    Panda = "JPanda-Activity", User, Day;
    PandaRussian = "JPanda-RUS-G-Activity", User, Day;
    WebShell = "WebShell-WebServer", User, Day;
    WebShellAsset = "A-WebShell-WebServer", Host, Day;
    ExfilAsset = "A-WEB-EXFIL-ASSET", Host, Day;
    NewUpload = "WEB-New-File-20", User, Day;
    Sharing = "WEB-FS", User, Day;
    TopOrganization = "WEB-OU-FS", User, Month;
    TopGroup = "WEB-OG-FS", User, Month;
    DynamicDns = "WEB-UD-DynamicDNS", User, Day;
    DynamicDnsAsset = "A-WEB-DynamicDNS", Host, Day;
}

impl Rule {
    /// The rule of the machine that fires on the same event, if there is one.
    pub const fn asset_twin(self) -> Option<Rule> {
        match self {
            Rule::Certutil => Some(Rule::CertutilAsset),
            Rule::WebShell => Some(Rule::WebShellAsset),
            Rule::DynamicDns => Some(Rule::DynamicDnsAsset),
            _ => None,
        }
    }

    /// Whether a process rule tells its alerts apart by the image of the process.
    pub const fn is_per_image(self) -> bool {
        matches!(
            self,
            Rule::Ftp
                | Rule::DnsTools
                | Rule::Tunnel
                | Rule::Sniff
                | Rule::Panda
                | Rule::WebShell
                | Rule::WebShellAsset
        )
    }
}
