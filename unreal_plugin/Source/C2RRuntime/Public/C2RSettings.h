// Project Settings > Plugins > C2R.
#pragma once

#include "CoreMinimal.h"
#include "Engine/DeveloperSettings.h"

#include "C2RSettings.generated.h"

/** Server, session and render parameters. Kept in DefaultGame.ini. */
UCLASS(Config = Game, DefaultConfig, meta = (DisplayName = "C2R"))
class C2RRUNTIME_API UC2RSettings : public UDeveloperSettings
{
	GENERATED_BODY()

public:
	virtual FName GetCategoryName() const override;

	/** Connect when the game starts. Otherwise call Connect of the C2R subsystem. */
	UPROPERTY(Config, EditAnywhere, Category = "Server")
	bool bAutoConnect = true;

	/** host:port, [IPv6]:port or unix:path. */
	UPROPERTY(Config, EditAnywhere, Category = "Server")
	FString ServerAddress = TEXT("127.0.0.1:50051");

	/** Seconds after a failure that only a change can fix (a wrong token, size or version) until another session is tried; 0: never. */
	UPROPERTY(Config, EditAnywhere, Category = "Server", meta = (ClampMin = "0"))
	double RetryAfterFailureSeconds = 10.0;

	/** Encrypt. Needed for a token over the network. */
	UPROPERTY(Config, EditAnywhere, Category = "Server")
	bool bEncrypt = false;

	/** A file of trusted authorities in PEM form; empty: the system's. */
	UPROPERTY(Config, EditAnywhere, Category = "Server", meta = (EditCondition = "bEncrypt"))
	FString AuthorityFile;

	/** The environment variable that holds the bearer token. Tokens themselves belong in no file of the project. */
	UPROPERTY(Config, EditAnywhere, Category = "Server")
	FString TokenVariable = TEXT("C2R_TOKEN");

	/** Pixels, a multiple of 16. Best of the viewport's aspect: other views are stretched. */
	UPROPERTY(Config, EditAnywhere, Category = "Picture", meta = (ClampMin = "64", ClampMax = "4096", Multiple = "16"))
	int32 Width = 832;

	/** Pixels, a multiple of 16. */
	UPROPERTY(Config, EditAnywhere, Category = "Picture", meta = (ClampMin = "64", ClampMax = "4096", Multiple = "16"))
	int32 Height = 480;

	/** Frames captured per second. */
	UPROPERTY(Config, EditAnywhere, Category = "Picture", meta = (ClampMin = "1", ClampMax = "120"))
	double FramesPerSecond = 16.0;

	UPROPERTY(Config, EditAnywhere, Category = "Render Parameters", meta = (MultiLine = "true"))
	FString Prompt = TEXT("a photograph of a city street at noon");

	UPROPERTY(Config, EditAnywhere, Category = "Render Parameters", meta = (MultiLine = "true"))
	FString NegativePrompt;

	/** How closely pictures follow the coarse frames. */
	UPROPERTY(Config, EditAnywhere, Category = "Render Parameters", meta = (ClampMin = "0", ClampMax = "2"))
	double Strength = 1.0;

	/** Below 0: the server chooses one. */
	UPROPERTY(Config, EditAnywhere, Category = "Render Parameters")
	int64 Seed = -1;

	UPROPERTY(Config, EditAnywhere, Category = "Side channels")
	bool bSendDepth = true;

	UPROPERTY(Config, EditAnywhere, Category = "Side channels")
	bool bSendMotion = true;

	UPROPERTY(Config, EditAnywhere, Category = "Side channels")
	bool bSendCamera = true;

	/** Metres between two captured frames beyond which the camera has teleported. */
	UPROPERTY(Config, EditAnywhere, Category = "Side channels", meta = (ClampMin = "0.1"))
	double TeleportMetres = 15.0;

	/** Seconds without a new picture after which the coarse frame is shown again. */
	UPROPERTY(Config, EditAnywhere, Category = "Picture", meta = (ClampMin = "0.1"))
	double StaleAfterSeconds = 1.0;

	/** Empty when the values can be used, else what to change. */
	FString Problem() const;
};
