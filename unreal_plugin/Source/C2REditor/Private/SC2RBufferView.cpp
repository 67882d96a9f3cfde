#include "SC2RBufferView.h"

#include "C2RBufferPaint.h"
#include "C2RSubsystem.h"
#include "Engine/Engine.h"
#include "Engine/GameInstance.h"
#include "Engine/Texture2D.h"
#include "RHITypes.h"
#include "Widgets/Images/SImage.h"
#include "Widgets/Layout/SScaleBox.h"
#include "Widgets/SBoxPanel.h"
#include "Widgets/Text/STextBlock.h"

namespace
{
/** Seconds between two looks: for people, and each look copies a few megabytes. */
constexpr float Interval = 0.2f;

UC2RSubsystem* FindSubsystem()
{
	for (const FWorldContext& Context : GEngine->GetWorldContexts())
	{
		if (Context.WorldType == EWorldType::PIE && Context.OwningGameInstance != nullptr)
		{
			return Context.OwningGameInstance->GetSubsystem<UC2RSubsystem>();
		}
	}
	return nullptr;
}
}

void SC2RBufferView::Construct(const FArguments& InArgs)
{
	Line = FText::FromString(TEXT("Play in the editor to see what is sent and what comes back."));
	const TSharedRef<SHorizontalBox> Row = SNew(SHorizontalBox);
	for (FSlateBrush& Brush : Brushes)
	{
		Row->AddSlot().Padding(2.0f)
		[
			SNew(SScaleBox).Stretch(EStretch::ScaleToFit)
			[
				SNew(SImage).Image(&Brush)
			]
		];
	}
	ChildSlot
	[
		SNew(SVerticalBox)
		+ SVerticalBox::Slot().AutoHeight().Padding(4.0f)
		[
			SNew(STextBlock).Text(this, &SC2RBufferView::GetLine)
		]
		+ SVerticalBox::Slot()
		[
			Row
		]
	];
	RegisterActiveTimer(Interval, FWidgetActiveTimerDelegate::CreateSP(this, &SC2RBufferView::Refresh));
}

SC2RBufferView::~SC2RBufferView()
{
	if (UC2RSubsystem* Subsystem = Seen.Get())
	{
		Subsystem->GetPreview()->SetWanted(false);
	}
}

FText SC2RBufferView::GetLine() const
{
	return Line;
}

EActiveTimerReturnType SC2RBufferView::Refresh(double Time, float DeltaSeconds)
{
	UC2RSubsystem* Subsystem = FindSubsystem();
	Seen = Subsystem;
	if (Subsystem != nullptr && Subsystem->GetPreview().IsValid())
	{
		Subsystem->GetPreview()->SetWanted(true);
		Look(Subsystem);
	}
	return EActiveTimerReturnType::Continue;
}

void SC2RBufferView::Look(UC2RSubsystem* Subsystem)
{
	Line = FText::FromString(FString::Printf(TEXT("Colour, depth, motion, picture. %s"), *Subsystem->GetStatus().Text));
	if (UTexture2D* Shown = Subsystem->GetPicture())
	{
		Brushes[Picture].SetResourceObject(Shown);
		Brushes[Picture].ImageSize = FVector2D(Shown->GetSizeX(), Shown->GetSizeY());
	}
	const FC2RBuffers Buffers = Subsystem->GetPreview()->Get();
	if (Buffers.FrameId == LastFrameId)
	{
		return;
	}
	LastFrameId = Buffers.FrameId;
	Paint(Colour, Buffers.Size, C2RPaintColour(Buffers));
	Paint(Depth, Buffers.Size, C2RPaintDepth(Buffers));
	Paint(Motion, Buffers.Size, C2RPaintMotion(Buffers));
}

void SC2RBufferView::Paint(EBuffer Buffer, FIntPoint Size, const TArray<uint8>& Pixels)
{
	if (Pixels.Num() != Size.X * Size.Y * 4 || Pixels.Num() == 0)
	{
		return;
	}
	UTexture2D* Texture = Textures[Buffer].Get();
	if (Texture == nullptr || Texture->GetSizeX() != Size.X || Texture->GetSizeY() != Size.Y)
	{
		Texture = UTexture2D::CreateTransient(Size.X, Size.Y, PF_B8G8R8A8);
		Texture->SRGB = true;
		Texture->UpdateResource();
		Textures[Buffer] = TStrongObjectPtr<UTexture2D>(Texture);
		Brushes[Buffer].SetResourceObject(Texture);
		Brushes[Buffer].ImageSize = FVector2D(Size.X, Size.Y);
	}
	// Both live until the render thread has copied them.
	FUpdateTextureRegion2D* Region = new FUpdateTextureRegion2D(0, 0, 0, 0, static_cast<uint32>(Size.X), static_cast<uint32>(Size.Y));
	TArray<uint8>* Copy = new TArray<uint8>(Pixels);
	Texture->UpdateTextureRegions(0, 1, Region, static_cast<uint32>(Size.X) * 4, 4, Copy->GetData(),
		[Copy](uint8*, const FUpdateTextureRegion2D* Done)
		{
			delete Copy;
			delete Done;
		});
}
