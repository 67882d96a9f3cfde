// The API for games: one session per game instance. From Blueprints: Get Game Instance Subsystem > C2R Subsystem.
#pragma once

#include "C2RTypes.h"
#include "CoreMinimal.h"
#include "Containers/Ticker.h"
#include "Subsystems/GameInstanceSubsystem.h"

#include "C2RSubsystem.generated.h"

class FC2RSession;
class FC2RViewExtension;
class FC2RPreview;
class UTexture2D;
class UWorld;
struct FC2RLive;

DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(FC2RStateChanged, const FC2RStatus&, Status);
DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(FC2RWarned, const FString&, Text);

/**
 * Owns what lives as long as a session: the client, the view extension, the picture (the output frame).
 * The session survives level changes and ends with the game (or with play in the editor). While there
 * is no picture, the coarse frame is on screen.
 */
UCLASS(BlueprintType, meta = (DisplayName = "C2R Subsystem"))
class C2RRUNTIME_API UC2RSubsystem : public UGameInstanceSubsystem
{
	GENERATED_BODY()

public:
	virtual bool ShouldCreateSubsystem(UObject* Outer) const override;
	virtual void Initialize(FSubsystemCollectionBase& Collection) override;
	virtual void Deinitialize() override;

	/** Starts a session with the project's settings; an earlier one ends. Empty, or why it cannot. */
	UFUNCTION(BlueprintCallable, Category = "C2R")
	FString Connect();

	/** The same, with another server than the settings name. */
	UFUNCTION(BlueprintCallable, Category = "C2R")
	FString ConnectTo(const FString& Address);

	UFUNCTION(BlueprintCallable, Category = "C2R")
	void Disconnect();

	/** The bearer token for the next Connect, instead of the environment's. */
	UFUNCTION(BlueprintCallable, Category = "C2R")
	void SetToken(const FString& InToken);

	/** The prompt from the next chunk on. Empty, or why it was refused. */
	UFUNCTION(BlueprintCallable, Category = "C2R")
	FString SetPrompt(const FString& Prompt);

	UFUNCTION(BlueprintCallable, Category = "C2R")
	FString SetNegativePrompt(const FString& Prompt);

	/** How closely pictures follow the coarse frames, 0 to 2. */
	UFUNCTION(BlueprintCallable, Category = "C2R")
	FString SetStrength(double Strength);

	/** Seed of the noise, 0 or more. */
	UFUNCTION(BlueprintCallable, Category = "C2R")
	FString SetSeed(int64 Seed);

	/** Resets the stream: for a jump of the game that the plugin cannot detect. */
	UFUNCTION(BlueprintCallable, Category = "C2R")
	void ResetHistory();

	/** Off: the coarse frame is shown and nothing is captured; the session stays. */
	UFUNCTION(BlueprintCallable, Category = "C2R")
	void SetEnabled(bool bInEnabled);

	UFUNCTION(BlueprintPure, Category = "C2R")
	FC2RStatus GetStatus() const;

	UFUNCTION(BlueprintPure, Category = "C2R")
	FC2RStatistics GetStatistics() const;

	/** The picture on screen, for materials and widgets; null before the first one. */
	UFUNCTION(BlueprintPure, Category = "C2R")
	UTexture2D* GetPicture() const;

	/** Whether a picture, not the coarse frame, is on screen. */
	UFUNCTION(BlueprintPure, Category = "C2R")
	bool IsShowingPicture() const;

	UPROPERTY(BlueprintAssignable, Category = "C2R")
	FC2RStateChanged OnStateChanged;

	/** A warning of the server, or a refused change. */
	UPROPERTY(BlueprintAssignable, Category = "C2R")
	FC2RWarned OnWarned;

	/** For the editor's buffer view; lives as long as the subsystem. */
	TSharedPtr<FC2RPreview, ESPMode::ThreadSafe> GetPreview() const;

private:
	FString Begin(const FString& Address);
	void End();
	bool Tick(float DeltaSeconds);
	void TellState();
	void ShowDue();
	void HandleLevelLoaded(UWorld* World);

	UPROPERTY(Transient)
	TObjectPtr<UTexture2D> Picture;

	TSharedPtr<FC2RLive> Live;
	TSharedPtr<FC2RPreview, ESPMode::ThreadSafe> Preview;
	TArray<TSharedPtr<FC2RSession, ESPMode::ThreadSafe>> Closing;
	FTSTicker::FDelegateHandle TickHandle;
	FDelegateHandle LevelHandle;
	FDelegateHandle OverlayHandle;
	FString Token;
	FC2RStatus LastStatus;
	bool bEnabled = true;
};
