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
Cancelled CoordinatorLoadInProgressError CoordinatorNotAvailableError CorrelationIdError ElectionNotNeededError
EligibleLeadersNotAvailableError FencedLeaderEpochError FetchSessionIdNotFoundError FetchSessionTopicIdError
InconsistentTopicIdError InvalidFetchSessionEpochError InvalidMetadataError InvalidShareSessionEpochError
KafkaConnectionError KafkaStorageError KafkaTimeoutError LeaderNotAvailableError ListenerNotFoundError
NetworkExceptionError NodeNotReadyError NotControllerError NotCoordinatorError NotEnoughReplicasAfterAppendError
NotEnoughReplicasError NotLeaderForPartitionError OffsetNotAvailableError PreferredLeaderNotAvailableError
ReplicaNotAvailableError RequestTimedOutError RetriableError ShareSessionNotFoundError StaleMetadata
ThrottlingQuotaExceededError TooManyInFlightRequests UnknownLeaderEpochError UnknownTopicIdError
UnknownTopicOrPartitionError UnstableOffsetCommitError
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

# Names of librdkafka (confluent-kafka): its own begin with "_", some of the protocol's are spelt otherwise.
_LOCAL_WAIT = """
_ALL_BROKERS_DOWN _APPLICATION _ASSIGNMENT_LOST _ASSIGN_PARTITIONS _CONFLICT _CRIT_SYS_RESOURCE _DESTROY
_DESTROY_BROKER _FAIL _FATAL _FENCED _FS _GAPLESS_GUARANTEE _INCONSISTENT _INTR _INVALID_DIFFERENT_RECORD
_IN_PROGRESS _ISR_INSUFF _MAX_POLL_EXCEEDED _MSG_TIMED_OUT _NODE_UPDATE _NOENT _NOOP _NO_OFFSET _OUTDATED _PARTIAL
_PARTITION_EOF _PREV_IN_PROGRESS _PURGE_INFLIGHT _PURGE_QUEUE _QUEUE_FULL _RESOLVE _RETRY _REVOKE_PARTITIONS _STATE
_TIMED_OUT _TIMED_OUT_QUEUE _TRANSPORT _UNDERFLOW _UNKNOWN_BROKER _UNKNOWN_GROUP _UNKNOWN_PARTITION _WAIT_CACHE
_WAIT_COORD KafkaStorageErrorError RebootstrapRequiredError ShareSessionLimitReachedError StaleCtrlEpochError
StreamsInvalidTopologyEpochError StreamsTopologyFencedError UnknownTopicOrPartError
"""
_LOCAL_SETTINGS = """
_AUTHENTICATION _EXISTING_SUBSCRIPTION _INVALID_ARG _INVALID_TYPE _KEY_DESERIALIZATION _KEY_SERIALIZATION
_NOT_CONFIGURED _NOT_IMPLEMENTED _READ_ONLY _SSL _UNKNOWN_PROTOCOL _UNKNOWN_TOPIC _UNSUPPORTED_FEATURE
_VALUE_DESERIALIZATION _VALUE_SERIALIZATION InvalidConfigError InvalidRegularExpressionError
StreamsInvalidTopologyError TopicExceptionError
"""
_LOCAL_DAMAGE = "_AUTO_OFFSET_RESET _BAD_COMPRESSION _BAD_MSG _LOG_TRUNCATION InvalidMsgError"
_LOCAL_MESSAGE = "InvalidMsgSizeError MsgSizeTooLargeError"

_KINDS: dict[str, tuple[type[PlatformError], str]] = {
    name: (kind, advice)
    for names, kind, advice in (
        (_MEMBERSHIP, TransientError, _WAIT),
        (_PRODUCER, TransientError, _WAIT),
        (_CLUSTER, TransientError, _WAIT),
        (_SETTINGS, ConfigurationError, _REFUSED),
        (_DAMAGE, IncompatibleStoreError, _LOST),
        (_MESSAGE, InvalidEventError, _TOO_LARGE),
        (_LOCAL_WAIT, TransientError, _WAIT),
        (_LOCAL_SETTINGS, ConfigurationError, _REFUSED),
        (_LOCAL_DAMAGE, IncompatibleStoreError, _LOST),
        (_LOCAL_MESSAGE, InvalidEventError, _TOO_LARGE),
    )
    for name in names.split()
}


def name_of(code: str) -> str:
    """The name in this file of what librdkafka calls `code`: REQUEST_TIMED_OUT → RequestTimedOutError."""
    return code if code.startswith("_") else "".join(word.capitalize() for word in code.split("_")) + "Error"


def kind_of(name: str) -> type[PlatformError] | None:
    """Which of our errors this is; None when nobody has decided yet."""
    found = _KINDS.get(name)
    return found[0] if found else None


def translated(name: str, *, retriable: bool) -> PlatformError:
    """Our error for one of Kafka's. Its own text stays out: it may quote what was sent."""
    kind, advice = _KINDS.get(name, (TransientError, _WAIT) if retriable else (ConfigurationError, _REFUSED))
    return kind(f"Kafka answered {name}: {advice}")
