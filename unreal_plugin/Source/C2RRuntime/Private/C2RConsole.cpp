#include "C2RConsole.h"

#include "C2RLog.h"
#include "C2RSubsystem.h"
#include "Engine/GameInstance.h"
#include "Engine/World.h"
#include "HAL/IConsoleManager.h"

namespace
{
TAutoConsoleVariable<int32> EnableVariable(
	TEXT("c2r.Enable"), 1,
	TEXT("1: capture frames and show pictures. 0: the coarse frame."), ECVF_Default);

TAutoConsoleVariable<int32> OverlayVariable(
	TEXT("c2r.Overlay"), 1,
	TEXT("1: state, pictures per second and latency on screen. 0: nothing."), ECVF_Default);

UC2RSubsystem* SubsystemOf(const UWorld* World)
{
	UGameInstance* Game = World != nullptr ? World->GetGameInstance() : nullptr;
	UC2RSubsystem* Subsystem = Game != nullptr ? Game->GetSubsystem<UC2RSubsystem>() : nullptr;
	if (Subsystem == nullptr)
	{
		UE_LOG(LogC2R, Warning, TEXT("C2R needs a running game; start Play first"));
	}
	return Subsystem;
}

void LogProblem(const FString& Problem)
{
	if (!Problem.IsEmpty())
	{
		UE_LOG(LogC2R, Warning, TEXT("%s"), *Problem);
	}
}

void Connect(const TArray<FString>& Arguments, UWorld* World)
{
	if (UC2RSubsystem* Subsystem = SubsystemOf(World))
	{
		LogProblem(Arguments.Num() > 0 ? Subsystem->ConnectTo(Arguments[0]) : Subsystem->Connect());
	}
}

void Disconnect(const TArray<FString>&, UWorld* World)
{
	if (UC2RSubsystem* Subsystem = SubsystemOf(World))
	{
		Subsystem->Disconnect();
	}
}

void ResetHistory(const TArray<FString>&, UWorld* World)
{
	if (UC2RSubsystem* Subsystem = SubsystemOf(World))
	{
		Subsystem->ResetHistory();
	}
}

void SetPrompt(const TArray<FString>& Arguments, UWorld* World)
{
	if (UC2RSubsystem* Subsystem = SubsystemOf(World))
	{
		LogProblem(Subsystem->SetPrompt(FString::Join(Arguments, TEXT(" "))));
	}
}

void LogStatistics(const TArray<FString>&, UWorld* World)
{
	const UC2RSubsystem* Subsystem = SubsystemOf(World);
	if (Subsystem == nullptr)
	{
		return;
	}
	const FC2RStatistics Now = Subsystem->GetStatistics();
	UE_LOG(LogC2R, Display, TEXT("%s: %lld frames, %lld pictures, %lld dropped, %lld failed, %lld not captured; %.1f/s, latency %.0f ms (p50), %.0f ms (p99)"),
		*Subsystem->GetStatus().Text, Now.Submitted, Now.Rendered, Now.Dropped, Now.Failed, Now.PassedOver,
		Now.PicturesPerSecond, Now.MedianLatencyMs, Now.WorstLatencyMs);
}

FAutoConsoleCommandWithWorldAndArgs ConnectCommand(TEXT("c2r.Connect"), TEXT("Start a session; an address may follow."),
	FConsoleCommandWithWorldAndArgsDelegate::CreateStatic(&Connect));
FAutoConsoleCommandWithWorldAndArgs DisconnectCommand(TEXT("c2r.Disconnect"), TEXT("End the session."),
	FConsoleCommandWithWorldAndArgsDelegate::CreateStatic(&Disconnect));
FAutoConsoleCommandWithWorldAndArgs ResetCommand(TEXT("c2r.Reset"), TEXT("Reset the stream: the next frame does not continue the one before."),
	FConsoleCommandWithWorldAndArgsDelegate::CreateStatic(&ResetHistory));
FAutoConsoleCommandWithWorldAndArgs PromptCommand(TEXT("c2r.Prompt"), TEXT("Set the prompt."),
	FConsoleCommandWithWorldAndArgsDelegate::CreateStatic(&SetPrompt));
FAutoConsoleCommandWithWorldAndArgs StatsCommand(TEXT("c2r.Stats"), TEXT("Log the statistics of the session."),
	FConsoleCommandWithWorldAndArgsDelegate::CreateStatic(&LogStatistics));
}

bool C2RConsole::IsEnabled()
{
	return EnableVariable.GetValueOnGameThread() != 0;
}

bool C2RConsole::IsOverlayWanted()
{
	return OverlayVariable.GetValueOnGameThread() != 0;
}
