//! Hostile and huge input: it is bounded, and what a bound cuts off is said. One behaviour a file.
//!
//! A little in `cargo test`, with lowered limits; all of it in `make torture`.

mod alert_flood; // suppressed after a number, counted, summed up: over restarts and midnight
mod collisions; // keys that an attacker chose fall apart like any others
mod control_socket; // strangers, floods, slow and silent clients; the agent goes on judging
mod forged_pairs; // what a command line or a name says is text
mod invented_names; // users, hosts, groups, processes and domains without end
mod malformed; // lines that are no events, of every kind
mod one_user; // one user with processes and domains without end
mod permissions; // config, content and tables that strangers can write
mod regexes; // expressions of a site's rules: bounded at load and at run time
mod stream; // where these programmes get their lines from
mod watched; // the real agent as a child whose memory is watched
