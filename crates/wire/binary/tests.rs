use super::*;
use crate::command::{Command, Envelope, Rejection};
use crate::notification::Notification;

mod commands;
mod notifications;
mod samples;

fn written(envelope: &Envelope<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_command(envelope, &mut out);
    out
}

fn notified(notification: &Notification<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_notification(notification, &mut out);
    out
}

fn rejection(message: &[u8]) -> Rejection {
    *parse_command(message).expect_err("no command")
}

/// The layout error of what is no command.
fn layout_error(message: &[u8]) -> LayoutError {
    match rejection(message).error {
        CommandError::Layout(error) => error,
        other => panic!("{message:02x?}: {other:?}"),
    }
}

fn command_of(message: &[u8]) -> Command<'_> {
    parse_command(message).unwrap_or_else(|rejection| panic!("{message:02x?}: {rejection:?}")).command
}
