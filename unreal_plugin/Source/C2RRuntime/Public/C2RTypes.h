// Types of a session for Blueprints.
#pragma once

#include "CoreMinimal.h"

#include "C2RTypes.generated.h"

/** As c2r_state of c2r_types.h. */
UENUM(BlueprintType)
enum class EC2RState : uint8
{
	Idle,
	Connecting,
	Queued,
	Streaming,
	Reconnecting,
	Closed,
	Failed
};

/** The status of a session. */
USTRUCT(BlueprintType)
struct C2RRUNTIME_API FC2RStatus
{
	GENERATED_BODY()

	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	EC2RState State = EC2RState::Idle;

	/** What happened and what to change. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	FString Text;

	/** A c2r_code of what broke or failed; 0 otherwise. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	int32 ErrorCode = 0;

	/** Sessions in front while the server has no room. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	int32 QueuePosition = 0;

	/** Seconds until the next attempt to connect, as it was when the state began. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	double RetryInSeconds = 0.0;
};

/** Since the session began. Submitted = Rendered + Dropped + Failed + those still open. */
USTRUCT(BlueprintType)
struct C2RRUNTIME_API FC2RStatistics
{
	GENERATED_BODY()

	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	int64 Submitted = 0;

	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	int64 Rendered = 0;

	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	int64 Dropped = 0;

	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	int64 Failed = 0;

	/** Frames that were not captured because all readbacks were under way. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	int64 PassedOver = 0;

	/** Pictures per second. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	double PicturesPerSecond = 0.0;

	/** Median latency from capture to picture. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	double MedianLatencyMs = 0.0;

	/** 99th percentile of the same. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	double WorstLatencyMs = 0.0;
};
