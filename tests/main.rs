//! The integration tests, one binary. The list of modules is the guide.

mod skip; // how a test says that it cannot run here

mod unit_file; // the systemd unit and its companions
