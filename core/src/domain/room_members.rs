//! The members of LiveKit's compound messages that a request sets to a value other than the default.
//!
//! Each message is destructured completely, so that this stops compiling when LiveKit adds a member. Clients can set a
//! new member only once it is named here and rules can list it.

use livekit_protocol::{
    AutoParticipantEgress, AutoTrackEgress, EncodedFileOutput, EncodingOptions, ImageOutput,
    RoomAgentDispatch, RoomCompositeEgressRequest, RoomConfiguration, RoomEgress, SegmentedFileOutput,
    auto_participant_egress, room_composite_egress_request,
};

use super::{Egress, EgressRequest};

/// The room's own settings, by their paths in a request.
pub(super) fn settings(config: &RoomConfiguration) -> Vec<&'static str> {
    let RoomConfiguration {
        name,
        empty_timeout,
        departure_timeout,
        max_participants,
        metadata,
        egress: _,
        min_playout_delay,
        max_playout_delay,
        sync_streams,
        agents: _,
        tags,
    } = config;
    names_of_set([
        (!name.is_empty(), "room_config.name"),
        (*empty_timeout != 0, "room_config.empty_timeout"),
        (*departure_timeout != 0, "room_config.departure_timeout"),
        (*max_participants != 0, "room_config.max_participants"),
        (*min_playout_delay != 0, "room_config.min_playout_delay"),
        (*max_playout_delay != 0, "room_config.max_playout_delay"),
        (*sync_streams, "room_config.sync_streams"),
        (!metadata.is_empty(), "room_config.metadata"),
        (!tags.is_empty(), "room_config.tags"),
    ])
}

/// The members of an agent's dispatch, without its name and deployment.
pub(super) fn of_agent(dispatch: &RoomAgentDispatch) -> Vec<&'static str> {
    let RoomAgentDispatch { agent_name: _, metadata, restart_policy, deployment: _, attributes } = dispatch;
    names_of_set([
        (!metadata.is_empty(), "metadata"),
        (!attributes.is_empty(), "attributes"),
        (*restart_policy != 0, "restart_policy"),
    ])
}

/// Each requested kind of egress.
pub(super) fn of_egress(egress: &RoomEgress) -> Vec<EgressRequest> {
    let RoomEgress { room, participant, tracks } = egress;
    let requested = [
        (Egress::Room, room.as_ref().map(of_room)),
        (Egress::Participant, participant.as_ref().map(of_participant)),
        (Egress::Tracks, tracks.as_ref().map(of_tracks)),
    ];
    requested
        .into_iter()
        .filter_map(|(kind, members)| Some(EgressRequest { kind, members: members? }))
        .collect()
}

#[expect(deprecated, reason = "LiveKit still reads the older outputs")]
fn of_room(request: &RoomCompositeEgressRequest) -> Vec<&'static str> {
    use room_composite_egress_request::{Options, Output};

    let RoomCompositeEgressRequest {
        room_name,
        layout,
        audio_only,
        audio_mixing,
        video_only,
        custom_base_url,
        file_outputs,
        stream_outputs,
        segment_outputs,
        image_outputs,
        webhooks,
        output,
        options,
    } = request;
    let output = output.as_ref().map(|output| match output {
        Output::File(_) => "file",
        Output::Stream(_) => "stream",
        Output::Segments(_) => "segments",
    });
    let options = options.as_ref().map(|options| match options {
        Options::Preset(_) => "preset",
        Options::Advanced(_) => "advanced",
    });
    let mut members = names_of_set([
        (!room_name.is_empty(), "room_name"),
        (!layout.is_empty(), "layout"),
        (*audio_only, "audio_only"),
        (*audio_mixing != 0, "audio_mixing"),
        (*video_only, "video_only"),
        (!custom_base_url.is_empty(), "custom_base_url"),
        (!file_outputs.is_empty(), "file_outputs"),
        (!stream_outputs.is_empty(), "stream_outputs"),
        (!segment_outputs.is_empty(), "segment_outputs"),
        (!image_outputs.is_empty(), "image_outputs"),
        (!webhooks.is_empty(), "webhooks"),
    ]);
    members.extend(output);
    members.extend(options);
    members
}

fn of_participant(request: &AutoParticipantEgress) -> Vec<&'static str> {
    use auto_participant_egress::Options;

    let AutoParticipantEgress { file_outputs, segment_outputs, options } = request;
    let options = options.as_ref().map(|options| match options {
        Options::Preset(_) => "preset",
        Options::Advanced(_) => "advanced",
    });
    let mut members = names_of_set([
        (!file_outputs.is_empty(), "file_outputs"),
        (!segment_outputs.is_empty(), "segment_outputs"),
    ]);
    members.extend(options);
    members
}

fn of_tracks(request: &AutoTrackEgress) -> Vec<&'static str> {
    let AutoTrackEgress { filepath, disable_manifest, output } = request;
    names_of_set([
        (!filepath.is_empty(), "filepath"),
        (*disable_manifest, "disable_manifest"),
        (output.is_some(), "output"),
    ])
}

/// The path of a list with more than one output of its kind, including the older single outputs.
#[expect(deprecated, reason = "LiveKit still reads the older outputs")]
pub(super) fn several_outputs(egress: &RoomEgress) -> Option<&'static str> {
    use room_composite_egress_request::Output;

    let room = egress.room.iter().flat_map(|room| {
        let file = usize::from(matches!(room.output, Some(Output::File(_))));
        let segments = usize::from(matches!(room.output, Some(Output::Segments(_))));
        [
            (room.file_outputs.len() + file, "room_config.egress.room.file_outputs"),
            (room.segment_outputs.len() + segments, "room_config.egress.room.segment_outputs"),
            (room.image_outputs.len(), "room_config.egress.room.image_outputs"),
        ]
    });
    let participant = egress.participant.iter().flat_map(|participant| {
        [
            (participant.file_outputs.len(), "room_config.egress.participant.file_outputs"),
            (participant.segment_outputs.len(), "room_config.egress.participant.segment_outputs"),
        ]
    });
    room.chain(participant).find_map(|(count, path)| (count > 1).then_some(path))
}

fn names_of_set<const MEMBERS: usize>(members: [(bool, &'static str); MEMBERS]) -> Vec<&'static str> {
    members.into_iter().filter_map(|(set, name)| set.then_some(name)).collect()
}

// A rule allows these messages as a whole. A new member with a secret or an address must be added to the list of
// members that no client may set.
const _: fn(&EncodedFileOutput) =
    |EncodedFileOutput { file_type: _, filepath: _, disable_manifest: _, output: _ }| {};
const _: fn(&SegmentedFileOutput) = |SegmentedFileOutput {
                                         protocol: _,
                                         filename_prefix: _,
                                         playlist_name: _,
                                         live_playlist_name: _,
                                         segment_duration: _,
                                         filename_suffix: _,
                                         disable_manifest: _,
                                         output: _,
                                     }| {};
const _: fn(&ImageOutput) = |ImageOutput {
                                 capture_interval: _,
                                 width: _,
                                 height: _,
                                 filename_prefix: _,
                                 filename_suffix: _,
                                 image_codec: _,
                                 disable_manifest: _,
                                 output: _,
                             }| {};
#[expect(deprecated, reason = "LiveKit still reads the older qualities")]
const _: fn(&EncodingOptions) = |EncodingOptions {
                                     width: _,
                                     height: _,
                                     depth: _,
                                     framerate: _,
                                     audio_codec: _,
                                     audio_bitrate: _,
                                     audio_frequency: _,
                                     video_codec: _,
                                     video_bitrate: _,
                                     key_frame_interval: _,
                                     audio_quality: _,
                                     video_quality: _,
                                 }| {};
