//! Which requests there are (Kafka's protocol guide, "The Messages"; numbers and versions as of Kafka 4.1).

/// Where an answer says that all of the request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// Nowhere, or only for parts of it.
    No,
    /// First.
    First,
    /// After the time of throttling, from this version on; before it first.
    Throttled(i16),
}

/// A kind of request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Api {
    pub key: i16,
    pub name: &'static str,
    /// The last version that is known.
    pub last: i16,
    /// The first version that is flexible.
    pub flexible: i16,
    pub error: Error,
    /// Up to this version it begins with the name of a consumer group.
    pub group: i16,
}

/// No version is.
const NEVER: i16 = i16::MAX;
/// No version does.
const NONE: i16 = -1;

const fn api(key: i16, name: &'static str, last: i16, flexible: i16) -> Api {
    Api { key, name, last, flexible, error: Error::No, group: NONE }
}

const fn fails(key: i16, name: &'static str, last: i16, flexible: i16, error: Error) -> Api {
    Api { key, name, last, flexible, error, group: NONE }
}

const fn group(key: i16, name: &'static str, last: i16, flexible: i16, error: Error, group: i16) -> Api {
    Api { key, name, last, flexible, error, group }
}

/// Messages are handed over.
pub(super) const PRODUCE: i16 = 0;
/// Messages are asked for.
pub(super) const FETCH: i16 = 1;
/// Topics and where they are.
pub(super) const METADATA: i16 = 3;
/// What a broker knows. Its answer has the old header in every version, so that any client can read it.
pub(super) const API_VERSIONS: i16 = 18;

use Error::{First, No, Throttled};

/// All that clients send, and what brokers send one another, by number. Numbers that are missing are not used.
const ALL: &[Api] = &[
    api(PRODUCE, "Produce", 13, 9),
    api(FETCH, "Fetch", 18, 12),
    api(2, "ListOffsets", 11, 6),
    api(METADATA, "Metadata", 13, 9),
    api(4, "LeaderAndIsr", 7, 4),
    api(5, "StopReplica", 4, 2),
    api(6, "UpdateMetadata", 8, 6),
    api(7, "ControlledShutdown", 3, 3),
    group(8, "OffsetCommit", 10, 8, No, 10),
    group(9, "OffsetFetch", 10, 6, No, 7),
    api(10, "FindCoordinator", 6, 3),
    group(11, "JoinGroup", 9, 6, Throttled(2), 9),
    group(12, "Heartbeat", 4, 4, Throttled(1), 4),
    group(13, "LeaveGroup", 5, 4, Throttled(1), 5),
    group(14, "SyncGroup", 5, 4, Throttled(1), 5),
    api(15, "DescribeGroups", 6, 5),
    fails(16, "ListGroups", 5, 3, Throttled(1)),
    fails(17, "SaslHandshake", 1, NEVER, First),
    fails(API_VERSIONS, "ApiVersions", 4, 3, First),
    api(19, "CreateTopics", 7, 5),
    api(20, "DeleteTopics", 6, 4),
    api(21, "DeleteRecords", 2, 2),
    fails(22, "InitProducerId", 6, 2, Throttled(0)),
    api(23, "OffsetForLeaderEpoch", 4, 4),
    api(24, "AddPartitionsToTxn", 5, 3),
    fails(25, "AddOffsetsToTxn", 4, 3, Throttled(0)),
    fails(26, "EndTxn", 5, 3, Throttled(0)),
    api(27, "WriteTxnMarkers", 2, 1),
    api(28, "TxnOffsetCommit", 5, 3),
    fails(29, "DescribeAcls", 3, 2, Throttled(0)),
    api(30, "CreateAcls", 3, 2),
    api(31, "DeleteAcls", 3, 2),
    api(32, "DescribeConfigs", 4, 4),
    api(33, "AlterConfigs", 2, 2),
    api(34, "AlterReplicaLogDirs", 2, 2),
    api(35, "DescribeLogDirs", 5, 2),
    fails(36, "SaslAuthenticate", 2, 2, First),
    api(37, "CreatePartitions", 3, 2),
    fails(38, "CreateDelegationToken", 3, 2, First),
    fails(39, "RenewDelegationToken", 2, 2, First),
    fails(40, "ExpireDelegationToken", 2, 2, First),
    fails(41, "DescribeDelegationToken", 3, 2, First),
    api(42, "DeleteGroups", 2, 2),
    api(43, "ElectLeaders", 2, 2),
    api(44, "IncrementalAlterConfigs", 1, 1),
    api(45, "AlterPartitionReassignments", 1, 0),
    fails(46, "ListPartitionReassignments", 0, 0, Throttled(0)),
    group(47, "OffsetDelete", 0, NEVER, First, 0),
    fails(48, "DescribeClientQuotas", 1, 1, Throttled(0)),
    api(49, "AlterClientQuotas", 1, 1),
    fails(50, "DescribeUserScramCredentials", 0, 0, Throttled(0)),
    api(51, "AlterUserScramCredentials", 0, 0),
    api(52, "Vote", 2, 0),
    api(53, "BeginQuorumEpoch", 1, 1),
    api(54, "EndQuorumEpoch", 1, 1),
    fails(55, "DescribeQuorum", 2, 0, First),
    api(56, "AlterPartition", 3, 0),
    fails(57, "UpdateFeatures", 2, 0, Throttled(0)),
    api(58, "Envelope", 0, 0),
    api(59, "FetchSnapshot", 1, 0),
    fails(60, "DescribeCluster", 2, 0, Throttled(0)),
    api(61, "DescribeProducers", 0, 0),
    api(62, "BrokerRegistration", 4, 0),
    api(63, "BrokerHeartbeat", 1, 0),
    api(64, "UnregisterBroker", 0, 0),
    api(65, "DescribeTransactions", 0, 0),
    fails(66, "ListTransactions", 2, 0, Throttled(0)),
    api(67, "AllocateProducerIds", 0, 0),
    group(68, "ConsumerGroupHeartbeat", 1, 0, Throttled(0), 1),
    api(69, "ConsumerGroupDescribe", 1, 0),
    api(70, "ControllerRegistration", 0, 0),
    api(71, "GetTelemetrySubscriptions", 0, 0),
    api(72, "PushTelemetry", 0, 0),
    api(73, "AssignReplicasToDirs", 0, 0),
    fails(74, "ListConfigResources", 1, 0, Throttled(0)),
    api(75, "DescribeTopicPartitions", 0, 0),
    group(76, "ShareGroupHeartbeat", 1, 0, Throttled(0), 1),
    api(77, "ShareGroupDescribe", 1, 0),
    api(78, "ShareFetch", 1, 0),
    api(79, "ShareAcknowledge", 1, 0),
    api(80, "AddRaftVoter", 1, 0),
    api(81, "RemoveRaftVoter", 0, 0),
    api(82, "UpdateRaftVoter", 0, 0),
];

/// The kind of a request that has this number, if it has this version.
pub(super) fn find(key: i16, version: i16) -> Option<&'static Api> {
    let api = ALL.get(usize::try_from(key).ok()?)?;
    (api.key == key && (0..=api.last).contains(&version)).then_some(api)
}

impl Api {
    /// Whether requests of this version, and their headers, are flexible.
    pub fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places() {
        for (at, api) in ALL.iter().enumerate() {
            assert_eq!(usize::try_from(api.key), Ok(at), "{}", api.name);
            assert_eq!(find(api.key, api.last), Some(api));
            assert_eq!((find(api.key, api.last + 1), find(api.key, -1)), (None, None));
            assert!(api.flexible == NEVER || api.flexible <= api.last, "{}", api.name);
        }
        assert_eq!(find(ALL.len() as i16, 0), None);
    }
}
