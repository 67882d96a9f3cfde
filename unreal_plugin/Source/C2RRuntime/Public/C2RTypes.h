// What Blueprints see of a session.
#pragma once

#include "CoreMinimal.h"

#include "C2RTypes.generated.h"

/** As c2r_state of c2r_client.h. */
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

/** How a session stands. */
USTRUCT(BlueprintType)
struct C2RRUNTIME_API FC2RStatus
{
	GENERATED_BODY()

	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	EC2RState State = EC2RState::Idle;

	/** For people: what happened and what to change. */
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

	/** Pictures a second. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	double PicturesPerSecond = 0.0;

	/** Half of all pictures came within this time after capture. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	double MedianLatencyMs = 0.0;

	/** All but one in a hundred came within this time. */
	UPROPERTY(BlueprintReadOnly, Category = "C2R")
	double WorstLatencyMs = 0.0;
};
