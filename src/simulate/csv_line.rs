//! An action as a row of a CSV export, with columns by name or by position.
//!
//! The export by name has the vendor's names in its header row; the one by position has no header row, and its
//! description holds the two words by which such a row is known.

use super::action::{Action, Deed};
use super::cef_line::names;
use super::clock::Clock;
use super::details::{Details, push_number};
use super::office::department_name;
use super::plan::{Plan, day_of};

const HEADER: &[&str] = &[
    "Activity_Category",
    "Activity_Type",
    "Activity_Description",
    "Start_Time",
    "User_Name",
    "User_Department",
    "User_Location",
    "Device_Name",
    "Process_Name",
    "Process_Directory",
    "Process_Parameters",
    "Website_Query",
    "Source_File_Directory",
    "Source_File_Name",
    "Source_File_Extension",
    "Source_File_Size",
    "Destination_File_Directory",
    "Destination_File_Name",
    "Destination_File_Extension",
];

/// Columns of the export by position: where each cell of [`HEADER`] goes, 99 for nowhere.
const POSITIONS: &[usize] = &[5, 6, 10, 8, 13, 99, 99, 22, 30, 32, 99, 38, 43, 44, 45, 46, 52, 53, 54];
const WIDTH: usize = 56;

/// Writes rows.
pub struct CsvRows<'a> {
    plan: &'a Plan,
    by_name: bool,
    clock: Clock,
    details: Details,
    cells: Vec<String>,
}

impl<'a> CsvRows<'a> {
    /// Rows by name or by position.
    pub fn new(plan: &'a Plan, by_name: bool) -> CsvRows<'a> {
        let cells = vec![String::new(); HEADER.len()];
        CsvRows { plan, by_name, clock: Clock::default(), details: Details::default(), cells }
    }

    /// Appends the header row.
    pub fn push_header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(HEADER.join(",").as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the row of an action.
    pub fn push(&mut self, action: &Action, out: &mut Vec<u8>) {
        self.details.fill(self.plan, action);
        self.cells.iter_mut().for_each(String::clear);
        self.fill_cells(action);
        if self.by_name {
            for (i, cell) in self.cells.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                push_cell(cell, out);
            }
        } else {
            for i in 0..WIDTH {
                if i > 0 {
                    out.push(b',');
                }
                let source = POSITIONS.iter().position(|p| *p == i);
                match source.and_then(|s| self.cells.get(s)) {
                    Some(cell) => push_cell(cell, out),
                    None => out.extend_from_slice(constant(i).as_bytes()),
                }
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    fn fill_cells(&mut self, action: &Action) {
        let (category, activity) = names(&action.deed);
        let (plan, day) = (self.plan, day_of(action.at_ms));
        let mut time = String::new();
        if self.by_name && action.salt.is_multiple_of(4) {
            push_number(&mut time, action.at_ms.unsigned_abs());
        } else {
            self.clock.push_iso(action.at_ms, &mut time);
        }
        let (department, location) = plan.person(action).map_or(("", ""), |p| {
            let department = plan.office.department_on(p, day).map_or("", department_name);
            (department, plan.office.location_on(p, day))
        });
        let description = self.description(action);
        let d = &self.details;
        let row: [&str; 19] = [
            category,
            activity,
            &description,
            &time,
            &d.user,
            department,
            location,
            &d.device,
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
        ];
        let mut size = String::new();
        let set = |column: usize, value: &str, cells: &mut Vec<String>| {
            if let Some(cell) = cells.get_mut(column) {
                cell.push_str(value);
            }
        };
        let cells = &mut self.cells;
        match action.deed {
            Deed::File { op, .. } => {
                push_number(&mut size, d.file_size);
                for (column, value) in
                    [(8, d.process_name.as_str()), (9, &d.process_dir), (12, &d.file_dir), (13, &d.file_name)]
                {
                    set(column, value, cells);
                }
                set(14, d.file_ext, cells);
                set(15, &size, cells);
                if op.has_destination() {
                    set(16, &d.target_dir, cells);
                    set(17, &d.target_name, cells);
                    set(18, d.file_ext, cells);
                }
            }
            Deed::Run(_) => {
                set(8, &d.process_name, cells);
                set(9, &d.process_dir, cells);
                set(10, &d.command_line, cells);
            }
            Deed::Browse { .. } => set(11, &d.url, cells),
            Deed::Print => set(13, &d.file_name, cells),
            Deed::Logon | Deed::RemoteLogon | Deed::Lock | Deed::Unlock => {}
        }
        for (cell, value) in cells.iter_mut().zip(row) {
            cell.push_str(value);
        }
    }

    fn description(&self, action: &Action) -> String {
        let d = &self.details;
        let mut text = match action.deed {
            Deed::File { removable: true, .. } => {
                format!("Copied \"{}\"\nto removable drive, {}", d.file_name, d.target_dir)
            }
            Deed::File { .. } if action.salt.is_multiple_of(9) => {
                format!("File \"{}\",\n{} bytes", d.file_name, d.file_size)
            }
            Deed::Print => format!("Printed [{} page(s)] on {}", d.pages, d.printer),
            Deed::Browse { .. } => "Page visited, allowed".to_owned(),
            _ => String::new(),
        };
        if !self.by_name {
            text.push_str(" [User_Department and User_Location not exported]");
        }
        text
    }
}

/// Cells that every row by position has.
fn constant(column: usize) -> &'static str {
    match column {
        24 => "10.0.19045",
        26 => "x64",
        27 => "Enterprise",
        28 => "Windows",
        _ => "",
    }
}

fn push_cell(cell: &str, out: &mut Vec<u8>) {
    if !cell.contains(['"', ',', '\n', '\r']) {
        out.extend_from_slice(cell.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_quotes_or_line_breaks_are_quoted() {
        for (cell, expected) in [("plain", "plain"), ("a,b", "\"a,b\""), ("a\"b\nc", "\"a\"\"b\nc\""), ("", "")] {
            let mut out = Vec::new();
            push_cell(cell, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        assert_eq!(HEADER.len(), POSITIONS.len());
    }
}
