"""What Kafka's errors mean to us, by the names of its clients. A test walks their lists: none is missing."""

from services.shared.errors import (
    ConfigurationError,
    IncompatibleStoreError,
    InvalidEventError,
    PlatformError,
    TransientError,
)

_WAIT = "it is tried again"
_REFUSED = "look at the address, the rights and the version of the broker"
_LOST = "records are gone or damaged; restore them, or rebuild from a complete bus"
_TOO_LARGE = "send a reference instead"

# Of a group: another member came or went, or the broker forgot us; the client joins anew.
_MEMBERSHIP = """
CommitFailedError FencedInstanceIdError FencedMemberEpochError GroupIdNotFoundError IllegalGenerationError
MemberIdRequiredError NonEmptyGroupError RebalanceInProgressError StaleMemberEpochError UnknownMemberIdError
UnreleasedInstanceIdError GroupMaxSizeReachedError GroupSubscribedToTopicError
"""
# Of a producer: what it had under way is in doubt; the client takes a new epoch, we publish again.
_PRODUCER = """
ConcurrentTransactionsError DuplicateSequenceNumberError InvalidProducerEpochError InvalidProducerIdMappingError
InvalidTxnStateError OutOfOrderSequenceNumberError ProducerFencedError TransactionAbortableError
TransactionAbortedError TransactionCoordinatorFencedError TransactionalIdNotFoundError UnknownProducerIdError
"""
# Of a cluster that starts, stops or moves its partitions.
_CLUSTER = """
BrokerIdNotRegisteredError BrokerNotAvailableError DuplicateBrokerRegistrationError FencedStateEpochError
IneligibleReplicaError InvalidUpdateVersionError KafkaProtocolError InvalidReceiveError MetadataEmptyBrokerList
NewLeaderElectedError NoReassignmentInProgressError OperationNotAttemptedError QuotaViolationError
ReassignmentInProgressError SnapshotNotFoundError StaleBrokerEpochError StaleControllerEpochError
UnknownBrokerIdError UnknownControllerIdError UnknownError InvalidFetchRequestError IllegalStateError
TelemetryTooLargeError UnknownSubscriptionIdError FeatureUpdateFailedError InvalidRecordStateError
"""
_SETTINGS = """
AuthorizationError DelegationTokenAuthDisabledError DelegationTokenAuthorizationFailedError
DelegationTokenExpiredError DelegationTokenNotFoundError DelegationTokenOwnerMismatchError
DelegationTokenRequestNotAllowedError ClusterAuthorizationFailedError DuplicateResourceError DuplicateVoterError
GroupAuthorizationFailedError IllegalArgumentError IllegalSaslStateError IncompatibleBrokerVersion
InconsistentGroupProtocolError InconsistentVoterSetError InvalidCommitOffsetSizeError InvalidConfigurationError
InvalidGroupIdError InvalidPartitionsError InvalidPrincipalTypeError InvalidRegistrationError
InvalidReplicaAssignmentError InvalidReplicationAssignmentError InvalidReplicationFactorError InvalidRequestError
InvalidRequiredAcksError InvalidSessionTimeoutError InvalidTopicError InvalidTransactionTimeoutError
InvalidVoterKeyError KafkaConfigurationError LogDirNotFoundError MismatchedEndpointTypeError
OffsetMetadataTooLargeError PolicyViolationError PrincipalDeserializationFailureError ResourceNotFoundError
SaslAuthenticationFailedError SecurityDisabledError TopicAlreadyExistsError TopicAuthorizationFailedError
TopicDeletionDisabledError TransactionalIdAuthorizationFailedError UnacceptableCredentialError
UnrecognizedBrokerVersion UnsupportedAssignorError UnsupportedCodecError UnsupportedCompressionTypeError
UnsupportedEndpointTypeError UnsupportedForMessageFormatError UnsupportedSaslMechanismError
UnsupportedVersionError VoterNotFoundError
"""
_DAMAGE = """
CorruptRecordError InconsistentClusterIdError LogTruncationError NoOffsetForPartitionError
OffsetMovedToTieredStorageError OffsetOutOfRangeError PositionOutOfRangeError RecordTooLargeError
"""
_MESSAGE = "InvalidRecordError InvalidTimestampError MessageSizeTooLargeError RecordListTooLargeError"

_KINDS: dict[str, tuple[type[PlatformError], str]] = {
    name: (kind, advice)
    for names, kind, advice in (
        (_MEMBERSHIP, TransientError, _WAIT),
        (_PRODUCER, TransientError, _WAIT),
        (_CLUSTER, TransientError, _WAIT),
        (_SETTINGS, ConfigurationError, _REFUSED),
        (_DAMAGE, IncompatibleStoreError, _LOST),
        (_MESSAGE, InvalidEventError, _TOO_LARGE),
    )
    for name in names.split()
}


def is_known(name: str, *, retriable: bool) -> bool:
    """Whether somebody has decided what this error means."""
    return name in _KINDS or retriable


def translated(name: str, *, retriable: bool) -> PlatformError:
    """Our error for one of Kafka's. Its own text stays out: it may quote what was sent."""
    kind, advice = _KINDS.get(name, (TransientError, _WAIT) if retriable else (ConfigurationError, _REFUSED))
    return kind(f"Kafka answered {name}: {advice}")
