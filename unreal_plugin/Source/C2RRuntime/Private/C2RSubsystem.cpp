#include "C2RSubsystem.h"

#include "C2RConsole.h"
#include "C2RLive.h"
#include "C2RLog.h"
#include "C2ROverlay.h"
#include "C2RPicture.h"
#include "C2RPreview.h"
#include "C2RSettings.h"
#include "Engine/GameInstance.h"
#include "Engine/Texture2D.h"
#include "Engine/World.h"
#include "HAL/PlatformMisc.h"
#include "Misc/App.h"
#include "RenderingThread.h"
#include "UObject/UObjectGlobals.h"

bool UC2RSubsystem::ShouldCreateSubsystem(UObject* Outer) const
{
	return FApp::CanEverRender();
}

void UC2RSubsystem::Initialize(FSubsystemCollectionBase& Collection)
{
	Super::Initialize(Collection);
	Preview = MakeShared<FC2RPreview, ESPMode::ThreadSafe>();
	TickHandle = FTSTicker::GetCoreTicker().AddTicker(FTickerDelegate::CreateUObject(this, &UC2RSubsystem::Tick), 0.0f);
	LevelHandle = FCoreUObjectDelegates::PostLoadMapWithWorld.AddUObject(this, &UC2RSubsystem::HandleLevelLoaded);
	OverlayHandle = C2RRegisterOverlay(this);
	if (GetDefault<UC2RSettings>()->bAutoConnect)
	{
		Connect();
	}
}

void UC2RSubsystem::Deinitialize()
{
	FTSTicker::GetCoreTicker().RemoveTicker(TickHandle);
	FCoreUObjectDelegates::PostLoadMapWithWorld.Remove(LevelHandle);
	C2RUnregisterOverlay(OverlayHandle);
	End();
	Closing.Empty();
	Super::Deinitialize();
}

FString UC2RSubsystem::Connect()
{
	return Begin(GetDefault<UC2RSettings>()->ServerAddress);
}

FString UC2RSubsystem::ConnectTo(const FString& Address)
{
	return Begin(Address);
}

void UC2RSubsystem::Disconnect()
{
	End();
}

FString UC2RSubsystem::Begin(const FString& Address)
{
	End();
	const UC2RSettings& Settings = *GetDefault<UC2RSettings>();
	const FString Secret = Token.IsEmpty() ? FPlatformMisc::GetEnvironmentVariable(*Settings.TokenVariable) : Token;
	FString Problem;
	const FC2RSessionPtr Session = FC2RSession::Open(Settings, Address, Secret, Problem);
	if (!Session.IsValid())
	{
		UE_LOG(LogC2R, Warning, TEXT("%s"), *Problem);
		LastStatus = FC2RStatus();
		LastStatus.State = EC2RState::Failed;
		LastStatus.Text = Problem;
		OnStateChanged.Broadcast(LastStatus);
		return Problem;
	}
	Live = MakeShared<FC2RLive>(Settings.StaleAfterSeconds, Settings.RetryAfterFailureSeconds);
	Live->Session = Session;
	Live->Address = Address;
	Live->FramesPerSecond = Settings.FramesPerSecond;
	FC2RCaptureTerms Terms;
	Terms.FramesPerSecond = Settings.FramesPerSecond;
	Terms.TeleportMetres = Settings.TeleportMetres;
	Live->Extension = FSceneViewExtensions::NewExtension<FC2RViewExtension>(GetGameInstance(), Session, Preview.ToSharedRef(), Terms);
	Picture = C2RMakePictureTexture(Session->Size);
	return FString();
}

void UC2RSubsystem::End()
{
	if (!Live.IsValid())
	{
		return;
	}
	TSharedPtr<FC2RViewExtension, ESPMode::ThreadSafe> Extension = Live->Extension;
	ENQUEUE_RENDER_COMMAND(C2RRelease)([Extension](FRHICommandListImmediate&)
	{
		Extension->Release_RenderThread();
	});
	Extension.Reset();
	const FC2RSessionPtr Session = Live->Session;
	Live.Reset();
	// After the flush nothing on the render thread holds the session, so that it is destroyed on this
	// thread: its destructor joins the client's thread and must not stall the render thread.
	FlushRenderingCommands();
	Session->BeginClose();
	Closing.Add(Session);
	Picture = nullptr;
}

bool UC2RSubsystem::Tick(float DeltaSeconds)
{
	// Closing sessions are kept until they have closed; a client does so within a second.
	Closing.RemoveAll([](const FC2RSessionPtr& Session)
	{
		Session->Poll(FC2RLive::MostPictures, [](FC2RPictureRef) {});
		const EC2RState State = Session->GetStatus().State;
		return State == EC2RState::Closed || State == EC2RState::Failed;
	});
	if (!Live.IsValid())
	{
		return true;
	}
	if (Live->Retry.IsDue(c2r_now_us(), Live->Session->GetStatus().State == EC2RState::Failed))
	{
		const FString Address = Live->Address;
		Begin(Address);
		return true;
	}
	const bool bCapturing = bEnabled && C2RConsole::IsEnabled();
	Live->Extension->SetActive(bCapturing);
	if (bCapturing && !Live->bWasCapturing)
	{
		Live->Extension->Tell(C2R::EEvent::PlayResumed);
	}
	Live->bWasCapturing = bCapturing;
	Live->Session->Poll(C2R::PicturesAtOnce(Live->FramesPerSecond, DeltaSeconds), [this](FC2RPictureRef Came)
	{
		const uint64 CaptureUs = Came->CaptureUs;
		Live->Playback.Add(CaptureUs, MoveTemp(Came));
	});
	TellState();
	ShowDue();
	return true;
}

void UC2RSubsystem::TellState()
{
	Live->Session->PollEvents([this](const c2r_event& Event)
	{
		if (Event.kind == C2R_EVENT_WARNING || (Event.kind == C2R_EVENT_ACK && Event.refused != 0))
		{
			const FString Text(UTF8_TO_TCHAR(Event.text));
			UE_LOG(LogC2R, Warning, TEXT("%s"), *Text);
			OnWarned.Broadcast(Text);
		}
	});
	// A listener may have ended the session.
	if (!Live.IsValid())
	{
		return;
	}
	FC2RStatus Status = Live->Session->GetStatus();
	if (Status.State == LastStatus.State && Status.Text == LastStatus.Text)
	{
		return;
	}
	LastStatus = Status;
	UE_LOG(LogC2R, Log, TEXT("%s"), *Status.Text);
	OnStateChanged.Broadcast(Status);
}

void UC2RSubsystem::ShowDue()
{
	if (!Live.IsValid())
	{
		return;
	}
	const uint64 Now = c2r_now_us();
	FC2RPictureRef Due;
	if (Live->Playback.Take(Now, Due))
	{
		C2RUploadPicture(Picture, Due, Live->Extension);
		Live->Session->ReportShown(*Due, Live->Playback.BufferedMs());
		Live->Fallback.Shown(Now);
	}
	if (Live->Fallback.IsDue(Now, Live->bWasCapturing))
	{
		C2RShowCoarse(Live->Extension);
	}
}

void UC2RSubsystem::HandleLevelLoaded(UWorld* World)
{
	if (Live.IsValid() && World != nullptr && World->GetGameInstance() == GetGameInstance())
	{
		Live->Extension->Tell(C2R::EEvent::LevelLoaded);
	}
}

void UC2RSubsystem::SetToken(const FString& InToken)
{
	Token = InToken;
}

FString UC2RSubsystem::SetPrompt(const FString& Prompt)
{
	return Live.IsValid() ? Live->Session->Change(&Prompt, nullptr, nullptr, nullptr) : TEXT("There is no session; call Connect");
}

FString UC2RSubsystem::SetNegativePrompt(const FString& Prompt)
{
	return Live.IsValid() ? Live->Session->Change(nullptr, &Prompt, nullptr, nullptr) : TEXT("There is no session; call Connect");
}

FString UC2RSubsystem::SetStrength(double Strength)
{
	return Live.IsValid() ? Live->Session->Change(nullptr, nullptr, &Strength, nullptr) : TEXT("There is no session; call Connect");
}

FString UC2RSubsystem::SetSeed(int64 Seed)
{
	return Live.IsValid() ? Live->Session->Change(nullptr, nullptr, nullptr, &Seed) : TEXT("There is no session; call Connect");
}

void UC2RSubsystem::ResetHistory()
{
	if (Live.IsValid())
	{
		Live->Extension->Tell(C2R::EEvent::Asked);
	}
}

void UC2RSubsystem::SetEnabled(bool bInEnabled)
{
	bEnabled = bInEnabled;
}

FC2RStatus UC2RSubsystem::GetStatus() const
{
	FC2RStatus Status = Live.IsValid() ? Live->Session->GetStatus() : LastStatus;
	if (Live.IsValid() && Live->Extension->IsHdr())
	{
		Status.Text = TEXT("The display output is HDR, which the renderer cannot read; set r.HDR.EnableHDROutput to 0");
	}
	return Status;
}

FC2RStatistics UC2RSubsystem::GetStatistics() const
{
	if (!Live.IsValid())
	{
		return FC2RStatistics();
	}
	FC2RStatistics Statistics = Live->Session->GetStatistics();
	Statistics.PassedOver = static_cast<int64>(Live->Extension->GetPassedOver());
	return Statistics;
}

UTexture2D* UC2RSubsystem::GetPicture() const
{
	return Live.IsValid() && Live->Fallback.HasShown() ? Picture.Get() : nullptr;
}

bool UC2RSubsystem::IsShowingPicture() const
{
	return Live.IsValid() && Live->Fallback.IsShowing();
}

TSharedPtr<FC2RPreview, ESPMode::ThreadSafe> UC2RSubsystem::GetPreview() const
{
	return Preview;
}
