//! Sites that the office visits, and what each is to the detections: the plan's own facts, kept by hand.
//!
//! `top` is the registrable domain. A test compares the kinds with the shipped tables.

/// What a site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing special.
    Ordinary,
    /// A company suite, which counts as file sharing only where a site switches that table on.
    Suite,
    /// A file-sharing service.
    Sharing,
    /// A file-sharing service that is in no table: only the web filter's category tells.
    SharingByCategory,
    /// A name under a dynamic-DNS service.
    DynamicDns,
    /// A dynamic-DNS provider's own page.
    DynamicDnsProvider,
}

/// A site.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// Host of the address.
    pub host: &'static str,
    /// Registrable domain.
    pub top: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What a web filter calls it.
    pub category: &'static str,
}

const fn site(host: &'static str, top: &'static str, kind: Kind, category: &'static str) -> Site {
    Site { host, top, kind, category }
}

use Kind::{DynamicDns, DynamicDnsProvider, Ordinary, Sharing, SharingByCategory, Suite};

/// Every site. The order is part of a seed's meaning.
pub const SITES: &[Site] = &[
    site("intranet.example.com", "example.com", Ordinary, "Intranet"),
    site("jira.example.com", "example.com", Ordinary, "Intranet"),
    site("www.google.com", "google.com", Ordinary, "Search Engines"),
    site("mail.google.com", "google.com", Ordinary, "Web Mail"),
    site("outlook.office365.com", "office365.com", Ordinary, "Web Mail"),
    site("login.microsoftonline.com", "microsoftonline.com", Ordinary, "Business"),
    site("teams.microsoft.com", "microsoft.com", Ordinary, "Business"),
    site("github.com", "github.com", Ordinary, "Information Technology"),
    site("stackoverflow.com", "stackoverflow.com", Ordinary, "Information Technology"),
    site("en.wikipedia.org", "wikipedia.org", Ordinary, "Reference"),
    site("www.linkedin.com", "linkedin.com", Ordinary, "Social Networking"),
    site("www.bbc.co.uk", "bbc.co.uk", Ordinary, "News"),
    site("www.heise.de", "heise.de", Ordinary, "News"),
    site("www.bahn.de", "bahn.de", Ordinary, "Travel"),
    site("crm.example.com", "example.com", Ordinary, "Business"),
    site("pypi.org", "pypi.org", Ordinary, "Information Technology"),
    site("contoso.sharepoint.com", "sharepoint.com", Suite, "Business"),
    site("docs.google.com", "google.com", Suite, "Business"),
    site("app.box.com", "box.com", Suite, "Business"),
    site("www.dropbox.com", "dropbox.com", Sharing, "File Sharing"),
    site("wetransfer.com", "wetransfer.com", Sharing, "File Sharing"),
    site("drive.google.com", "google.com", Sharing, "Online Storage"),
    site("onedrive.live.com", "live.com", Sharing, "Online Storage"),
    site("mega.nz", "mega.nz", Sharing, "File Hosting"),
    site("www.mediafire.com", "mediafire.com", Sharing, "File Hosting"),
    site("app.filemail.com", "filemail.com", Sharing, "File Sharing"),
    site("gofile.io", "gofile.io", Sharing, "File Hosting"),
    site("my.pcloud.com", "pcloud.com", Sharing, "Online Storage"),
    site("transfer.sh", "transfer.sh", Sharing, "File Sharing"),
    site("share.northwind-vault.com", "northwind-vault.com", SharingByCategory, "Cloud Storage"),
    site("homelab-nas.duckdns.org", "homelab-nas.duckdns.org", DynamicDns, "Unrated"),
    site("cdn-update7.ddns.net", "cdn-update7.ddns.net", DynamicDns, "Unrated"),
    site("files.acme-support.hopto.org", "acme-support.hopto.org", DynamicDns, "Unrated"),
    site("sync-9.mooo.com", "sync-9.mooo.com", DynamicDns, "Unrated"),
    site("www.duckdns.org", "www.duckdns.org", DynamicDnsProvider, "Information Technology"),
    site("freedns.afraid.org", "freedns.afraid.org", DynamicDnsProvider, "Information Technology"),
    site("relay.bluebird.dynu.net", "bluebird.dynu.net", DynamicDns, "Unrated"),
    site("panel-44.no-ip.org", "panel-44.no-ip.org", DynamicDns, "Unrated"),
];

/// The ordinary sites are `0..ORDINARY`.
pub const ORDINARY: u32 = 16;
/// The suites.
pub const SUITES: &[u16] = &[16, 17, 18];
/// The file-sharing services of the table.
pub const SHARING: &[u16] = &[19, 20, 21, 22, 23, 24, 25, 26, 27, 28];
/// The one that only its category betrays.
pub const BY_CATEGORY: u16 = 29;
/// Names under dynamic-DNS services.
pub const DYNAMIC: &[u16] = &[30, 31, 32, 33];
/// Names under dynamic-DNS services that the demo does not visit.
pub const MORE_DYNAMIC: &[u16] = &[36, 37];
/// The suite that an office moves to: a storage service that the shipped table calls file sharing.
pub const NEW_SUITE: u16 = 21;
/// Providers' own pages.
pub const PROVIDERS: &[u16] = &[34, 35];

/// A site by its index.
pub fn site_at(index: u16) -> &'static Site {
    const NOWHERE: Site = site("localhost", "localhost", Ordinary, "");
    SITES.get(usize::from(index)).unwrap_or(&NOWHERE)
}
